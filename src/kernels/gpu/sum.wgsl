// The sum over each LANES of a workgroup's THREADS, as a tree, so that it is in the same order every time. The shader says
// what is summed: `alias Number = f32;`. All threads of a workgroup come here together.

var<workgroup> partial: array<Number, THREADS>;

fn sum_of(thread: u32, value: Number) -> Number {
    partial[thread] = value;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if (thread % LANES < half) { partial[thread] = partial[thread] + partial[thread + half]; }
        workgroupBarrier();
    }
    let total = partial[thread - thread % LANES];
    workgroupBarrier();
    return total;
}
