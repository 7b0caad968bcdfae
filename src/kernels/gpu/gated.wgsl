// The gated activation, a number a thread. BACKWARD 0: a = activation(gate)·up. BACKWARD 1: a = d_gate, b = d_up.

struct Parameters { a: u32, b: u32, gate: u32, up: u32, dh: u32, len: u32 }

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> a: array<f32>;
@group(0) @binding(2) var<storage, read_write> b: array<f32>;
@group(0) @binding(3) var<storage, read_write> gate: array<f32>;
@group(0) @binding(4) var<storage, read_write> up: array<f32>;
@group(0) @binding(5) var<storage, read_write> dh: array<f32>;

const ROOT: f32 = 0.7978846; // sqrt(2/π)
const CUBIC: f32 = 0.044715;

// Beyond 80 and 15 the results do not change any more, and a shader need not know infinity. What is no number is carried by
// the gate itself, which every result is a multiple of.
fn sigmoid(x: f32) -> f32 {
    return 1.0 / (1.0 + exp(-clamp(x, -80.0, 80.0)));
}

fn tanh_of(x: f32) -> f32 {
    return tanh(clamp(x, -15.0, 15.0));
}

// erf within 1.2e-7 of its value, relative also near 0: the series where it converges fast, else W. J. Cody's form as
// Numerical Recipes gives it.
fn erf(x: f32) -> f32 {
    let size = abs(x);
    if (size < 0.75) {
        let square = x * x;
        var term = x;
        var sum = x;
        for (var n = 1; n < 12; n++) {
            term = -term * square / f32(n);
            sum += term / f32(2 * n + 1);
        }
        return sum * 1.1283791671;
    }
    let t = 1.0 / (1.0 + 0.5 * size);
    let polynomial = -1.26551223 + t * (1.00002368 + t * (0.37409196 + t * (0.09678418 + t * (-0.18628806
        + t * (0.27886807 + t * (-1.13520398 + t * (1.48851587 + t * (-0.82215223 + t * 0.17087277))))))));
    let tail = t * exp(max(-size * size + polynomial, -80.0));
    return select(tail - 1.0, 1.0 - tail, x >= 0.0);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let i = id.x + id.y * groups.x * 64u;
    if (i >= p.len) { return; }
    let g = gate[p.gate + i];
    let u = up[p.up + i];
    var value = 0.0;
    var slope = 0.0;
    if (ACTIVATION == 0u) {
        let s = sigmoid(g);
        value = g * s;
        slope = s + value * (1.0 - s);
    } else if (ACTIVATION == 1u) {
        let t = tanh_of(ROOT * (g + CUBIC * g * g * g));
        value = 0.5 * g * (1.0 + t);
        slope = 0.5 * (1.0 + t) + 0.5 * g * (1.0 - t * t) * ROOT * (1.0 + 3.0 * CUBIC * g * g);
    } else {
        let normal = 0.5 * (1.0 + erf(g * 0.70710678));
        value = g * normal;
        slope = normal + g * 0.39894228 * exp(max(-0.5 * g * g, -80.0));
    }
    if (BACKWARD == 0u) {
        a[p.a + i] = value * u;
    } else {
        let d = dh[p.dh + i];
        b[p.b + i] = d * value;
        a[p.a + i] = d * u * slope;
    }
}
