// Inverted dropout: an element is dropped by SplitMix64 at its place, computed in halves of 32 bits, so that every device
// drops the same ones.

struct Parameters {
    y: u32, x: u32, len: u32, first_low: u32, first_high: u32,
    seed_low: u32, seed_high: u32, threshold: u32, keep: f32,
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;

// Numbers of 64 bits are (low, high).
fn sum(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = a.x + b.x;
    return vec2<u32>(low, a.y + b.y + select(0u, 1u, low < a.x));
}

fn wide_product(a: u32, b: u32) -> vec2<u32> {
    let a0 = a & 0xffffu;
    let a1 = a >> 16u;
    let b0 = b & 0xffffu;
    let b1 = b >> 16u;
    let low = a0 * b0;
    let middle = a1 * b0 + (low >> 16u);
    let other = a0 * b1 + (middle & 0xffffu);
    return vec2<u32>((other << 16u) | (low & 0xffffu), a1 * b1 + (middle >> 16u) + (other >> 16u));
}

fn product(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = wide_product(a.x, b.x);
    return vec2<u32>(low.x, low.y + a.x * b.y + a.y * b.x);
}

fn mixed(a: vec2<u32>, shift: u32) -> vec2<u32> {
    return a ^ vec2<u32>((a.x >> shift) | (a.y << (32u - shift)), a.y >> shift);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * 64u;
    if (i >= p.len) { return; }
    let place = sum(vec2<u32>(p.first_low, p.first_high), vec2<u32>(i + 1u, 0u));
    var z = sum(vec2<u32>(p.seed_low, p.seed_high), product(place, vec2<u32>(0x7F4A7C15u, 0x9E3779B9u)));
    z = product(mixed(z, 30u), vec2<u32>(0x1CE4E5B9u, 0xBF58476Du));
    z = product(mixed(z, 27u), vec2<u32>(0x133111EBu, 0x94D049BBu));
    z = mixed(z, 31u);
    y[p.y + i] = select(x[p.x + i] * p.keep, 0.0, z.x < p.threshold);
}
