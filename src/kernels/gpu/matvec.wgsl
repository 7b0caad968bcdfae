// y (+)= alpha · x Wᵀ for up to eight rows of x. LANES threads share two outputs, each four neighbours of their numbers at a
// time, and read them as they are stored. What a row gives does not depend on how many there are.

struct Parameters {
    y: u32, x: u32, w: u32,
    rows: u32, outputs: u32, width: u32,
    stride: u32, // from one row of y to the next
    alpha: f32,
    add: u32, // 1: to what is there
    start: u32, row_bytes: u32,
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> w: array<u32>;

const THREADS: u32 = 64u;

alias Number = mat2x4<f32>; // two outputs of four rows

fn word(at: u32) -> u32 { return w[p.w + at]; }

fn x_at(row: u32, k: u32) -> vec4<f32> {
    if (row >= p.rows) { return vec4<f32>(0.0); }
    let at = p.x + row * p.width + k;
    if (k + 4u <= p.width) { return vec4<f32>(x[at], x[at + 1u], x[at + 2u], x[at + 3u]); }
    var numbers = vec4<f32>(x[at], 0.0, 0.0, 0.0);
    if (k + 1u < p.width) { numbers.y = x[at + 1u]; }
    if (k + 2u < p.width) { numbers.z = x[at + 2u]; }
    return numbers;
}

fn products(first: vec4<f32>, second: vec4<f32>, row: u32, k: u32) -> Number {
    let rows = mat4x4<f32>(x_at(row, k), x_at(row + 1u, k), x_at(row + 2u, k), x_at(row + 3u, k));
    return mat2x4<f32>(first * rows, second * rows);
}

fn store(sums: vec4<f32>, first_row: u32, output: u32) {
    if (output >= p.outputs) { return; }
    for (var i = 0u; i < 4u; i++) {
        let row = first_row + i;
        if (row < p.rows) {
            let at = p.y + row * p.stride + output;
            let product = p.alpha * sums[i];
            if (p.add == 1u) { y[at] = y[at] + product; } else { y[at] = product; }
        }
    }
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let lane = thread % LANES;
    let pair = (group.x + group.y * groups.x) * (THREADS / LANES) + thread / LANES;
    let output = pair * 2u;
    var of_four = Number();
    var of_more = Number();
    if (output < p.outputs) {
        for (var k = lane * 4u; k < p.width; k += LANES * 4u) {
            let first = quad(output, k);
            let second = quad(min(output + 1u, p.outputs - 1u), k);
            of_four += products(first, second, 0u, k);
            if (p.rows > 4u) { of_more += products(first, second, 4u, k); }
        }
    }
    of_four = sum_of(thread, of_four);
    if (p.rows > 4u) { of_more = sum_of(thread, of_more); }
    if (lane == 0u) {
        store(of_four[0], 0u, output);
        store(of_four[1], 0u, output + 1u);
        store(of_more[0], 4u, output);
        store(of_more[1], 4u, output + 1u);
    }
}
