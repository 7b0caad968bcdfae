// bf16, two in a word, to f32. The first number may be the upper half of its word.

struct Parameters { to: u32, source: u32, len: u32 }

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> to: array<u32>;
@group(0) @binding(2) var<storage, read_write> source: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * 64u;
    if (i >= p.len) { return; }
    let at = p.source + i;
    let word = source[at / 2u];
    to[p.to + i] = select(word << 16u, word & 0xffff0000u, (at & 1u) == 1u);
}
