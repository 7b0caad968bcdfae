// One number a thread.

struct Parameters { y: u32, x: u32, len: u32, factor: f32 }

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * 64u;
    if (i >= p.len) { return; }
    if (OPERATION == 0u) {
        y[p.y + i] = y[p.y + i] + x[p.x + i];
    } else if (OPERATION == 1u) {
        y[p.y + i] = x[p.x + i] * p.factor;
    } else if (OPERATION == 2u) {
        y[p.y + i] = y[p.y + i] * p.factor;
    } else {
        y[p.y + i] = softcapped(y[p.y + i], p.factor);
    }
}
