// u = own·w_target − others·u, with own = scale·slope and others = scale / Σ exp(logit − maximum) of the row.

struct Parameters { u: u32, w: u32, running: u32, len: u32, width: u32, scale: f32 }

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> u: array<f32>;
@group(0) @binding(2) var<storage, read_write> w: array<f32>;
@group(0) @binding(3) var<storage, read_write> running: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * 64u;
    if (i >= p.len) { return; }
    let state = p.running + 4u * (i / p.width);
    let own = p.scale * running[state + 3u];
    let others = p.scale / running[state + 1u];
    u[p.u + i] = own * w[p.w + i] - others * u[p.u + i];
}
