// What is no number (NaN or infinity) has to be seen in the end: no clamp on its way may make a plausible number of it. It is
// known by its bits, because a shader may take it for impossible.

fn is_number(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7f800000u) != 0x7f800000u;
}

// `cap · tanh(x / cap)`; what is no number stays what it is.
fn softcapped(x: f32, cap: f32) -> f32 {
    return select(x, cap * tanh(clamp(x / cap, -15.0, 15.0)), is_number(x));
}

// `exp(x − highest)`, not below `exp(lowest)`; what is no number stays none.
fn weight_of(x: f32, highest: f32, lowest: f32) -> f32 {
    let difference = x - highest;
    return select(difference, exp(max(difference, lowest)), is_number(x) && is_number(highest));
}
