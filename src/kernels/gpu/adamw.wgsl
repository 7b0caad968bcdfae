// One step of AdamW, a parameter a thread.

struct Parameters {
    values: u32, gradients: u32, m: u32, v: u32,
    len: u32, gradient_scale: f32, beta1: f32, rest1: f32, beta2: f32, rest2: f32,
    keep: f32, step_size: f32, inv_root_correction: f32, eps: f32,
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> values: array<f32>;
@group(0) @binding(2) var<storage, read_write> gradients: array<f32>;
@group(0) @binding(3) var<storage, read_write> m: array<f32>;
@group(0) @binding(4) var<storage, read_write> v: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * 64u;
    if (i >= p.len) { return; }
    let g = gradients[p.gradients + i] * p.gradient_scale;
    let first = m[p.m + i] * p.beta1 + p.rest1 * g;
    let second = v[p.v + i] * p.beta2 + p.rest2 * g * g;
    m[p.m + i] = first;
    v[p.v + i] = second;
    let root = sqrt(second) * p.inv_root_correction + p.eps;
    values[p.values + i] = values[p.values + i] * p.keep - p.step_size * (first / root);
}
