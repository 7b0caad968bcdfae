// The largest of each LANES of a workgroup's THREADS, in the memory of `sum.wgsl`.

fn largest_of(thread: u32, value: Number) -> Number {
    partial[thread] = value;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if (thread % LANES < half) { partial[thread] = max(partial[thread], partial[thread + half]); }
        workgroupBarrier();
    }
    let largest = partial[thread - thread % LANES];
    workgroupBarrier();
    return largest;
}
