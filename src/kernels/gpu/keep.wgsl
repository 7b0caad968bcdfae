// f32 to bf16, two numbers a thread: round to nearest, ties to even, NaN stays NaN.

struct Parameters { words: u32, x: u32, len: u32 }

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;
@group(0) @binding(2) var<storage, read_write> x: array<u32>;

fn rounded(bits: u32) -> u32 {
    if ((bits & 0x7fffffffu) > 0x7f800000u) { return (bits >> 16u) | 0x40u; }
    return (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let word = id.x + id.y * groups.x * 64u;
    let i = 2u * word;
    if (i >= p.len) { return; }
    var upper = 0u;
    if (i + 1u < p.len) { upper = rounded(x[p.x + i + 1u]); }
    words[p.words / 2u + word] = rounded(x[p.x + i]) | (upper << 16u);
}
