// A slice of logits, a workgroup a row.
// STAGE 0: takes them into the row's running sums (maximum, Σ exp(logit − maximum), the target's logit, its slope), leaves
// exp(logit − maximum)·slope in their place and brings u to the new maximum.
// STAGE 1: raw logits become coefficient · slope · (onehot − p).

struct Parameters {
    logits: u32, running: u32, u: u32, targets: u32,
    rows: u32, len: u32, start: u32, width: u32,
    is_first: u32, is_capped: u32, cap: f32, factor: f32,
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read_write> logits: array<f32>;
@group(0) @binding(2) var<storage, read_write> running: array<f32>; // STAGE 1: log-sum-exp and coefficient of each row
@group(0) @binding(3) var<storage, read_write> u: array<f32>;
@group(0) @binding(4) var<storage, read> targets: array<u32>;

const LOWEST: f32 = -3.0e38;
const NOTHING: f32 = -100.0;

alias Number = f32;
const THREADS: u32 = 128u;
const LANES: u32 = THREADS;

fn capped(logit: f32) -> f32 {
    if (p.is_capped == 0u) { return logit; }
    return softcapped(logit, p.cap);
}

fn slope(logit: f32) -> f32 {
    if (p.is_capped == 0u) { return 1.0; }
    let t = logit / p.cap;
    return 1.0 - t * t;
}

@compute @workgroup_size(128)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let row = group.x + group.y * groups.x;
    if (row >= p.rows) { return; }
    let at = p.logits + row * p.len;
    let goal = targets[p.targets + row];
    if (STAGE == 1u) {
        let lse = running[p.running + 2u * row];
        let coefficient = running[p.running + 2u * row + 1u] * p.factor;
        for (var i = thread; i < p.len; i += 128u) {
            let logit = capped(logits[at + i]);
            let onto = select(0.0, 1.0, goal == p.start + i);
            logits[at + i] = coefficient * slope(logit) * (onto - weight_of(logit, lse, NOTHING));
        }
        return;
    }

    var largest = LOWEST;
    for (var i = thread; i < p.len; i += 128u) {
        let logit = capped(logits[at + i]);
        logits[at + i] = logit;
        largest = max(largest, logit);
    }
    largest = largest_of(thread, largest);
    let state = p.running + 4u * row;
    var maximum = largest;
    var total = 0.0;
    if (p.is_first == 0u) {
        maximum = max(running[state], largest);
        let shrink = weight_of(running[state], maximum, NOTHING);
        total = running[state + 1u] * shrink;
        if (p.width > 0u && running[state] < maximum) {
            for (var i = thread; i < p.width; i += 128u) {
                u[p.u + row * p.width + i] = u[p.u + row * p.width + i] * shrink;
            }
        }
    }
    var sum = 0.0;
    for (var i = thread; i < p.len; i += 128u) {
        let logit = logits[at + i];
        let weight = weight_of(logit, maximum, NOTHING);
        if (goal == p.start + i) {
            running[state + 2u] = logit;
            running[state + 3u] = slope(logit);
        }
        logits[at + i] = weight * slope(logit);
        sum += weight;
    }
    sum = sum_of(thread, sum);
    if (thread == 0u) {
        running[state] = maximum;
        running[state + 1u] = total + sum;
    }
}
