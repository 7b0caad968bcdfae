// sums[j] += Σ_t x[t][j]: a workgroup a column, rows shared out among 64 threads in a fixed way.

struct Parameters { sums: u32, x: u32, rows: u32, width: u32 }

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;

alias Number = f32;
const THREADS: u32 = 64u;
const LANES: u32 = THREADS;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let column = group.x;
    var sum = 0.0;
    for (var row = thread; row < p.rows; row += 64u) {
        sum += x[p.x + row * p.width + column];
    }
    let total = sum_of(thread, sum);
    if (thread == 0u) { sums[p.sums + column] = sums[p.sums + column] + total; }
}
