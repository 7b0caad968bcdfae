// C (+)= the sum of several matrices, part after part.

struct Parameters { c: u32, parts: u32, rows: u32, columns: u32, ldc: u32, count: u32, add: u32 }

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> c: array<f32>;
@group(0) @binding(2) var<storage, read_write> parts: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * 64u;
    let size = p.rows * p.columns;
    if (i >= size) { return; }
    var sum = 0.0;
    for (var part = 0u; part < p.count; part++) {
        sum += parts[p.parts + part * size + i];
    }
    let at = p.c + (i / p.columns) * p.ldc + i % p.columns;
    if (p.add == 1u) { c[at] = c[at] + sum; } else { c[at] = sum; }
}
