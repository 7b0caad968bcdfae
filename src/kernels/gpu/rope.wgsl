// Rotates each head of each token by its position, in place: a pair of components a thread. Of the table there are some rows,
// and only tokens at those positions are rotated.

struct Parameters {
    x: u32, cos: u32, sin: u32, positions: u32,
    tokens: u32, heads: u32, head_dim: u32, half_dim: u32, sign: f32,
    first: u32, known: u32, // positions in the table
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> cosines: array<f32>;
@group(0) @binding(3) var<storage, read_write> sines: array<f32>;
@group(0) @binding(4) var<storage, read> positions: array<u32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let pair = id.x + id.y * groups.x * 64u;
    if (pair >= p.tokens * p.heads * p.half_dim) { return; }
    let i = pair % p.half_dim;
    let row = pair / p.half_dim; // of heads
    let token = row / p.heads;
    let position = positions[p.positions + token];
    if (position < p.first || position >= p.first + p.known) { return; }
    let at = p.x + row * p.head_dim + i;
    let angle = (position - p.first) * p.half_dim + i;
    let cosine = cosines[p.cos + angle];
    let sine = sines[p.sin + angle] * p.sign;
    let a = x[at];
    let b = x[at + p.half_dim];
    x[at] = a * cosine - b * sine;
    x[at + p.half_dim] = b * cosine + a * sine;
}
