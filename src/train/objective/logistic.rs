//! σ and log σ that neither overflow nor lose their tails.

/// 1 / (1 + e^−h). Exact to rounding for every finite h; the tails go to 0 and 1 without overflow.
pub fn sigmoid(h: f64) -> f64 {
    if h >= 0.0 {
        1.0 / (1.0 + (-h).exp())
    } else {
        let e = h.exp();
        e / (1.0 + e)
    }
}

/// log σ(h) = −log(1 + e^−h); about h itself for very negative h, about −e^−h for very positive h.
pub fn log_sigmoid(h: f64) -> f64 {
    h.min(0.0) - (-h.abs()).exp().ln_1p()
}

/// σ(h)·σ(−h), the slope of σ; keeps its tiny values where 1 − σ(h) would round to 0.
pub fn sigmoid_slope(h: f64) -> f64 {
    sigmoid(h) * sigmoid(-h)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_neither_overflow_nor_vanish_early() {
        assert_eq!(sigmoid(0.0), 0.5);
        assert_eq!(log_sigmoid(0.0), -std::f64::consts::LN_2);
        // e^−50 = 1.928749847963918e−22: lost by 1 − σ(50), kept here.
        assert!((sigmoid(-50.0) / 1.928_749_847_963_918e-22 - 1.0).abs() < 1e-14);
        assert!((sigmoid_slope(50.0) / 1.928_749_847_963_918e-22 - 1.0).abs() < 1e-14);
        assert!((log_sigmoid(50.0) / -1.928_749_847_963_918e-22 - 1.0).abs() < 1e-14);
        assert!((log_sigmoid(-50.0) + 50.0).abs() < 1e-14);
        assert_eq!(log_sigmoid(-1000.0), -1000.0);
        assert_eq!(log_sigmoid(1000.0), 0.0);
        assert_eq!(sigmoid(-1000.0), 0.0);
        assert_eq!(sigmoid(1000.0), 1.0);
        assert_eq!(sigmoid_slope(-1000.0), 0.0);
    }

    #[test]
    fn the_two_sides_add_up_to_one() {
        for h in [-40.0, -3.0, -1e-9, 0.0, 0.5, 7.0, 40.0] {
            assert!((sigmoid(h) + sigmoid(-h) - 1.0).abs() < 1e-15, "h = {h}");
            assert!((log_sigmoid(h) - sigmoid(h).ln()).abs() < 1e-12, "h = {h}");
        }
    }
}
