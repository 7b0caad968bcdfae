// RMS norm, a workgroup a row. BACKWARD 0: y = x·inv·w and inv = 1/sqrt(mean(x²) + eps). BACKWARD 1:
// dx (+)= inv·w·dy − x·inv³·mean(w·dy·x).

struct Parameters {
    y: u32, inv: u32, x: u32, w: u32, dy: u32,
    rows: u32, width: u32, eps: f32, offset: f32,
    add: u32,
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> inv: array<f32>;
@group(0) @binding(3) var<storage, read_write> x: array<f32>;
@group(0) @binding(4) var<storage, read_write> w: array<f32>;
@group(0) @binding(5) var<storage, read_write> dy: array<f32>;

alias Number = f32;
const THREADS: u32 = 64u;
const LANES: u32 = THREADS;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group.x + group.y * groups.x;
    if (row >= p.rows) { return; }
    let at = row * p.width;
    var sum = 0.0;
    for (var i = thread; i < p.width; i += 64u) {
        let value = x[p.x + at + i];
        if (BACKWARD == 1u) {
            sum += (p.offset + w[p.w + i]) * dy[p.dy + at + i] * value;
        } else {
            sum += value * value;
        }
    }
    let total = sum_of(thread, sum);
    let mean = total / f32(p.width);
    if (BACKWARD == 1u) {
        let factor = inv[p.inv + row];
        let pull = -mean * factor * factor * factor;
        for (var i = thread; i < p.width; i += 64u) {
            let gradient = factor * (p.offset + w[p.w + i]) * dy[p.dy + at + i] + pull * x[p.x + at + i];
            if (p.add == 1u) {
                y[p.y + at + i] = y[p.y + at + i] + gradient;
            } else {
                y[p.y + at + i] = gradient;
            }
        }
    } else {
        let factor = 1.0 / sqrt(mean + p.eps);
        if (thread == 0u) { inv[p.inv + row] = factor; }
        for (var i = thread; i < p.width; i += 64u) {
            y[p.y + at + i] = x[p.x + at + i] * factor * (p.offset + w[p.w + i]);
        }
    }
}
