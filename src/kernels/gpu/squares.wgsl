// Of every stretch of 4096 numbers: the sum of squares (WHAT 0), or how many are NaN or infinite, by their bits (WHAT 1).

struct Parameters { sums: u32, x: u32, len: u32 }

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> sums: array<f32>;
@group(0) @binding(2) var<storage, read_write> x: array<u32>;

const STRETCH: u32 = 4096u;

alias Number = f32;
const THREADS: u32 = 64u;
const LANES: u32 = THREADS;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let stretch = group.x + group.y * groups.x;
    let end = min(p.len, (stretch + 1u) * STRETCH);
    var sum = 0.0;
    for (var i = stretch * STRETCH + thread; i < end; i += 64u) {
        let bits = x[p.x + i];
        if (WHAT == 0u) {
            let value = bitcast<f32>(bits);
            sum += value * value;
        } else {
            sum += select(0.0, 1.0, (bits & 0x7f800000u) == 0x7f800000u);
        }
    }
    let total = sum_of(thread, sum);
    if (thread == 0u && stretch * STRETCH < p.len) { sums[p.sums + stretch] = total; }
}
