//! Compute shaders: their text, compiled once a card.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use super::{
    super::{KernelError, Result},
    driver::Driver,
};

/// A compute shader in WGSL whose entry is `main`. Binding 0 of group 0 is its parameters, a struct of `u32` and `f32`
/// alone: first one `u32` an operand, the element at which the operand begins, then what it is run with. Bindings from
/// 1 on are its operands, each `var<storage, read_write>`, or `read` where nobody writes to the buffer that it lies in.
#[derive(Debug)]
pub(super) struct Shader {
    pub name: &'static str,
    pub source: &'static str,
    /// How many operands it has, eight at most.
    pub operands: usize,
    /// Whether it multiplies matrices: what it does is then told as a rate.
    pub multiplies: bool,
}

/// A shader with the constants that its text leaves open, which are put before it: `const HEAD_DIM: u32 = 64u;`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Program<'a> {
    pub shader: &'static Shader,
    pub constants: &'a [(&'static str, u32)],
}

impl Shader {
    /// A shader that moves numbers about or works on each by itself.
    pub(super) const fn new(name: &'static str, source: &'static str, operands: usize) -> Self {
        Self { name, source, operands, multiplies: false }
    }

    /// A shader whose work is products of matrices.
    pub(super) const fn of_products(name: &'static str, source: &'static str, operands: usize) -> Self {
        Self { name, source, operands, multiplies: true }
    }

    /// The shader, which leaves nothing open.
    pub(super) fn plain(&'static self) -> Program<'static> {
        Program { shader: self, constants: &[] }
    }

    pub(super) fn with<'a>(&'static self, constants: &'a [(&'static str, u32)]) -> Program<'a> {
        Program { shader: self, constants }
    }
}

/// A compiled program.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub pipeline: wgpu::ComputePipeline,
    pub operands: wgpu::BindGroupLayout,
}

pub(super) type Key = (&'static str, Vec<u32>);

/// The programs compiled so far.
#[derive(Debug, Default)]
pub(super) struct Pipelines(Mutex<HashMap<Key, Arc<Pipeline>>>);

/// Bytes of a shader's parameters at most: what one dynamic offset steps over on every card.
pub(super) const PARAMETERS: u64 = 256;

/// Why a card is not used on that somebody panicked over.
pub(super) const CUT_SHORT: &str = "an earlier call was cut short by an error of this program; begin anew";

impl Pipelines {
    /// Whether somebody panicked while compiling.
    pub(super) fn is_poisoned(&self) -> bool {
        self.0.is_poisoned()
    }

    /// What was compiled: shaders with the values of their constants.
    #[cfg(test)]
    pub(super) fn compiled(&self) -> Vec<Key> {
        self.0.lock().unwrap().keys().cloned().collect()
    }

    pub(super) fn get(&self, driver: &Driver, program: Program<'_>) -> Result<Arc<Pipeline>> {
        let key = (program.shader.name, program.constants.iter().map(|&(_, value)| value).collect());
        let mut known = self.0.lock().map_err(|_| driver.fault(CUT_SHORT))?;
        if let Some(pipeline) = known.get(&key) {
            return Ok(Arc::clone(pipeline));
        }
        let pipeline = Arc::new(compile(driver, program)?);
        known.insert(key, Arc::clone(&pipeline));
        Ok(pipeline)
    }
}

fn compile(driver: &Driver, program: Program<'_>) -> Result<Pipeline> {
    let Program { shader, constants } = program;
    let constants: Vec<String> =
        constants.iter().map(|(name, value)| format!("const {name}: u32 = {value}u;\n")).collect();
    let source = constants.concat() + shader.source;
    let scope = driver.device.push_error_scope(wgpu::ErrorFilter::Validation);
    let module = driver.device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(shader.name),
        source: wgpu::ShaderSource::Wgsl(source.into()),
    });
    let entry = |binding: u32, ty: wgpu::BufferBindingType, has_dynamic_offset: bool| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset, min_binding_size: None },
        count: None,
    };
    let storage = |binding: u32| wgpu::BufferBindingType::Storage {
        read_only: shader.source.contains(&format!("@binding({binding}) var<storage, read> ")),
    };
    let mut entries = vec![entry(0, wgpu::BufferBindingType::Uniform, true)];
    entries.extend((1..=shader.operands as u32).map(|binding| entry(binding, storage(binding), false)));
    let operands = driver
        .device
        .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(shader.name), entries: &entries });
    let layout = driver.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(shader.name),
        bind_group_layouts: &[Some(&operands)],
        immediate_size: 0,
    });
    let pipeline = driver.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some(shader.name),
        layout: Some(&layout),
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions {
            // Workgroup memory is written before it is read.
            zero_initialize_workgroup_memory: false,
            ..Default::default()
        },
        cache: None,
    });
    match pollster::block_on(scope.pop()) {
        None => Ok(Pipeline { pipeline, operands }),
        Some(error) => Err(KernelError::Gpu(format!("shader {}: {error}", shader.name))),
    }
}
