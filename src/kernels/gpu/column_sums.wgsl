// sums[j] += Σ_t x[t][j]: a workgroup a column, rows shared out among 64 threads in a fixed way.

struct Parameters { sums: u32, x: u32, rows: u32, width: u32 }

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;

var<workgroup> partial: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let column = group.x;
    var sum = 0.0;
    for (var row = thread; row < p.rows; row += 64u) {
        sum += x[p.x + row * p.width + column];
    }
    partial[thread] = sum;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half /= 2u) {
        if (thread < half) { partial[thread] = partial[thread] + partial[thread + half]; }
        workgroupBarrier();
    }
    if (thread == 0u) { sums[p.sums + column] = sums[p.sums + column] + partial[0]; }
}
