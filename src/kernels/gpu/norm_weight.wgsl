// dw[j] += Σ_t dy[t][j]·x[t][j]·inv[t]: a workgroup a column, rows shared out among 64 threads in a fixed way.

struct Parameters { dw: u32, x: u32, dy: u32, inv: u32, rows: u32, width: u32 }

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> dw: array<f32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> inv: array<f32>;

alias Number = f32;
const THREADS: u32 = 64u;
const LANES: u32 = THREADS;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    var sum = 0.0;
    for (var row = thread; row < p.rows; row += 64u) {
        let at = row * p.width + group.x;
        sum += dy[p.dy + at] * inv[p.inv + row] * x[p.x + at];
    }
    let total = sum_of(thread, sum);
    if (thread == 0u) { dw[p.dw + group.x] = dw[p.dw + group.x] + total; }
}
