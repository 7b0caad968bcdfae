//! The one place that knows colours, type sizes, distances and line patterns.
//!
//! Series colours are Okabe and Ito's (tell-apart for the common kinds of colour blindness); every series also has its
//! own line pattern, so colour never carries meaning alone. The dark palette is the same hues, lifted to stand on a
//! dark ground.

use egui::{
    Color32, Context, CornerRadius, FontDefinitions, FontFamily, FontId, Margin, Shadow, Stroke, Style, TextStyle,
    Theme, Visuals, style::WidgetVisuals,
};
use egui_plot::LineStyle;

/// Distances, in points. Everything stands on this scale.
pub mod space {
    pub const XS: f32 = 4.0;
    pub const S: f32 = 8.0;
    pub const M: f32 = 12.0;
    pub const L: f32 = 16.0;
    pub const XL: f32 = 24.0;
}

/// Type sizes, in points.
pub mod size {
    pub const TITLE: f32 = 21.0;
    pub const HEADING: f32 = 15.5;
    pub const BODY: f32 = 13.5;
    pub const SMALL: f32 = 11.5;
    pub const MONO: f32 = 12.0;
}

pub const RADIUS: u8 = 6;
pub const CARD_RADIUS: u8 = 10;

/// Colours by what they mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Palette {
    /// Behind everything.
    pub ground: Color32,
    /// Cards and charts.
    pub surface: Color32,
    /// The left rail and the status strip.
    pub rail: Color32,
    /// Behind text that can be edited.
    pub field: Color32,
    pub hairline: Color32,
    pub text: Color32,
    pub strong: Color32,
    /// Captions and units; still 4.5 to 1 on every ground.
    pub weak: Color32,
    /// The one action of a screen, and what is selected.
    pub accent: Color32,
    pub on_accent: Color32,
    pub accent_soft: Color32,
    pub good: Color32,
    pub warning: Color32,
    pub warning_soft: Color32,
    pub error: Color32,
    pub error_soft: Color32,
    pub chosen: Color32,
    pub rejected: Color32,
    pub chosen_soft: Color32,
    pub rejected_soft: Color32,
    pub series: [Color32; 8],
}

#[expect(clippy::disallowed_methods, reason = "this is the file that colours live in")]
const fn hex(rgb: u32) -> Color32 {
    Color32::from_rgb((rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8)
}

const LIGHT: Palette = Palette {
    ground: hex(0xf5_f5f2),
    surface: hex(0xff_ffff),
    rail: hex(0xec_ece7),
    field: hex(0xff_ffff),
    hairline: hex(0xdd_ddd6),
    text: hex(0x2b_2f33),
    strong: hex(0x10_1315),
    weak: hex(0x5c_6369),
    accent: hex(0x00_62a0),
    on_accent: hex(0xff_ffff),
    accent_soft: hex(0xd9_e8f3),
    good: hex(0x00_7a57),
    warning: hex(0x8f_5a00),
    warning_soft: hex(0xfb_f0d9),
    error: hex(0xb0_3a00),
    error_soft: hex(0xfb_e6dc),
    chosen: hex(0x00_72b2),
    rejected: hex(0xd5_5e00),
    chosen_soft: hex(0xdc_ebf6),
    rejected_soft: hex(0xfb_e6d6),
    series: [
        hex(0x00_72b2),
        hex(0xd5_5e00),
        hex(0x00_9e73),
        hex(0xc0_5f95),
        hex(0xc8_8a00),
        hex(0x2f_93d0),
        hex(0x4a_4f55),
        hex(0x8a_7f00),
    ],
};

const DARK: Palette = Palette {
    ground: hex(0x16_181a),
    surface: hex(0x1e_2123),
    rail: hex(0x11_1315),
    field: hex(0x14_1618),
    hairline: hex(0x31_3538),
    text: hex(0xd9_dcde),
    strong: hex(0xf4_f5f6),
    weak: hex(0x9b_a2a8),
    accent: hex(0x6c_b6ea),
    on_accent: hex(0x07_1a27),
    accent_soft: hex(0x1d_3647),
    good: hex(0x3f_c79b),
    warning: hex(0xf0_b54a),
    warning_soft: hex(0x3a_2e17),
    error: hex(0xf5_8b57),
    error_soft: hex(0x41_2519),
    chosen: hex(0x5f_b4ea),
    rejected: hex(0xf0_8a4b),
    chosen_soft: hex(0x1b_3445),
    rejected_soft: hex(0x43_2a1a),
    series: [
        hex(0x5f_b4ea),
        hex(0xf0_8a4b),
        hex(0x34_c296),
        hex(0xe0_9bc4),
        hex(0xec_b23e),
        hex(0x9c_d3f7),
        hex(0xb9_c0c6),
        hex(0xe6_dc4c),
    ],
};

/// The colours of the theme in use.
pub fn palette(visuals: &Visuals) -> &'static Palette {
    if visuals.dark_mode { &DARK } else { &LIGHT }
}

/// Colour of series `index`; the pattern changes when the colours come round.
pub fn series_color(palette: &Palette, index: usize) -> Color32 {
    palette.series[index % palette.series.len()]
}

/// Line pattern of series `index`: told apart without colour.
pub fn series_pattern(index: usize) -> LineStyle {
    match index % 4 {
        0 => LineStyle::Solid,
        1 => LineStyle::dashed_loose(),
        2 => LineStyle::dotted_dense(),
        _ => LineStyle::dashed_dense(),
    }
}

/// Fonts and both styles. Called once, before the first frame.
pub fn install(ctx: &Context) {
    ctx.set_fonts(fonts());
    for (theme, palette) in [(Theme::Light, &LIGHT), (Theme::Dark, &DARK)] {
        ctx.style_mut_of(theme, |style| apply(style, palette, theme));
    }
}

/// The bundled fonts, with the monospaced one as the last resort: it has the arrows that the others lack.
fn fonts() -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    if let Some(list) = fonts.families.get_mut(&FontFamily::Proportional) {
        list.push("Hack".to_owned());
    }
    fonts
}

fn apply(style: &mut Style, palette: &Palette, theme: Theme) {
    use FontFamily::{Monospace, Proportional};
    style.text_styles = [
        (TextStyle::Heading, FontId::new(size::HEADING, Proportional)),
        (TextStyle::Body, FontId::new(size::BODY, Proportional)),
        (TextStyle::Button, FontId::new(size::BODY, Proportional)),
        (TextStyle::Small, FontId::new(size::SMALL, Proportional)),
        (TextStyle::Monospace, FontId::new(size::MONO, Monospace)),
    ]
    .into();
    let spacing = &mut style.spacing;
    spacing.item_spacing = egui::vec2(space::S, space::S);
    spacing.button_padding = egui::vec2(10.0, 5.0);
    spacing.interact_size = egui::vec2(32.0, 26.0);
    spacing.text_edit_width = 220.0;
    spacing.combo_width = 120.0;
    spacing.icon_width = 16.0;
    spacing.icon_width_inner = 9.0;
    spacing.icon_spacing = 6.0;
    spacing.menu_margin = Margin::same(6);
    spacing.tooltip_width = 360.0;
    spacing.scroll = egui::style::ScrollStyle {
        bar_width: 8.0,
        foreground_color: true,
        dormant_handle_opacity: 0.25,
        active_handle_opacity: 0.4,
        dormant_background_opacity: 0.0,
        active_background_opacity: 0.0,
        ..egui::style::ScrollStyle::thin()
    };
    style.interaction.selectable_labels = false;
    style.interaction.tooltip_delay = 0.4;
    style.animation_time = 0.08;
    style.visuals = visuals(palette, theme);
}

fn visuals(palette: &Palette, theme: Theme) -> Visuals {
    let mut visuals = match theme {
        Theme::Dark => Visuals::dark(),
        Theme::Light => Visuals::light(),
    };
    let dark = theme == Theme::Dark;
    visuals.panel_fill = palette.ground;
    visuals.window_fill = palette.surface;
    visuals.window_stroke = Stroke::new(1.0, palette.hairline);
    visuals.window_corner_radius = CornerRadius::same(CARD_RADIUS);
    visuals.menu_corner_radius = CornerRadius::same(RADIUS + 2);
    visuals.popup_shadow =
        Shadow { offset: [0, 4], blur: 16, spread: 0, color: Color32::from_black_alpha(if dark { 110 } else { 36 }) };
    visuals.window_shadow = visuals.popup_shadow;
    visuals.extreme_bg_color = palette.field;
    visuals.text_edit_bg_color = Some(palette.field);
    visuals.code_bg_color = palette.rail;
    visuals.faint_bg_color = mix(palette.surface, palette.hairline, 0.25);
    visuals.hyperlink_color = palette.accent;
    visuals.warn_fg_color = palette.warning;
    visuals.error_fg_color = palette.error;
    visuals.weak_text_color = Some(palette.weak);
    visuals.selection.bg_fill = palette.accent_soft;
    visuals.selection.stroke = Stroke::new(1.0, palette.accent);
    visuals.text_cursor.stroke = Stroke::new(2.0, palette.accent);
    // A blinking caret repaints the window for ever.
    visuals.text_cursor.blink = false;
    visuals.slider_trailing_fill = true;
    visuals.disabled_alpha = 0.45;

    let raised = if dark { hex(0x2a_2e31) } else { hex(0xff_ffff) };
    let widget = |fill: Color32, line: Color32, text: Color32| WidgetVisuals {
        bg_fill: fill,
        weak_bg_fill: fill,
        bg_stroke: Stroke::new(1.0, line),
        corner_radius: CornerRadius::same(RADIUS),
        fg_stroke: Stroke::new(1.0, text),
        expansion: 0.0,
    };
    let line = mix(palette.hairline, palette.weak, 0.25);
    visuals.widgets.noninteractive = widget(palette.surface, palette.hairline, palette.text);
    visuals.widgets.inactive = widget(raised, line, palette.text);
    visuals.widgets.hovered = widget(mix(raised, palette.accent, 0.08), mix(line, palette.accent, 0.6), palette.strong);
    visuals.widgets.active = widget(mix(raised, palette.accent, 0.16), palette.accent, palette.strong);
    // The focus ring is the stroke of a focused widget: make it hard to miss.
    visuals.widgets.active.bg_stroke = Stroke::new(1.5, palette.accent);
    visuals.widgets.open = widget(raised, palette.accent, palette.strong);
    visuals
}

/// `t` of the way from `a` to `b`.
pub fn mix(a: Color32, b: Color32, t: f32) -> Color32 {
    a.lerp_to_gamma(b, t)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contrast of two opaque colours as WCAG 2 defines it.
    fn contrast(a: Color32, b: Color32) -> f64 {
        let luminance = |color: Color32| {
            let linear = |v: u8| {
                let v = f64::from(v) / 255.0;
                if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * linear(color.r()) + 0.7152 * linear(color.g()) + 0.0722 * linear(color.b())
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_can_be_read_on_every_ground() {
        for palette in [&LIGHT, &DARK] {
            for ground in [palette.ground, palette.surface, palette.rail, palette.field] {
                for text in [
                    palette.text,
                    palette.strong,
                    palette.weak,
                    palette.good,
                    palette.warning,
                    palette.error,
                    palette.accent,
                ] {
                    let contrast = contrast(text, ground);
                    assert!(contrast >= 4.5, "{text:?} on {ground:?} has only {contrast:.2}");
                }
            }
            assert!(contrast(palette.on_accent, palette.accent) >= 4.5);
            assert!(contrast(palette.warning, palette.warning_soft) >= 4.5);
            assert!(contrast(palette.error, palette.error_soft) >= 4.5);
        }
    }

    #[test]
    fn lines_can_be_seen_on_their_chart() {
        for palette in [&LIGHT, &DARK] {
            for color in palette.series {
                assert!(contrast(color, palette.surface) >= 2.9, "{color:?} fades into the chart");
            }
        }
    }

    #[test]
    fn neighbours_differ_in_pattern_too() {
        for index in 0..16 {
            assert_ne!(series_pattern(index), series_pattern(index + 1));
        }
    }
}
