// x[t] *= factors[t].

struct Parameters { x: u32, factors: u32, len: u32, width: u32 }

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> factors: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * 64u;
    if (i >= p.len) { return; }
    x[p.x + i] = x[p.x + i] * factors[p.factors + i / p.width];
}
