//! The advantages as a picture, in SVG.

use std::fmt::Write as _;

use super::report::{Attack, BOUND};

const WIDTH: f64 = 860.0;
const LEFT: f64 = 400.0;
const RIGHT: f64 = 30.0;
const ROW: f64 = 34.0;
const TOP: f64 = 56.0;

/// Dots with their intervals, one row an attack. The left half of the axis is stretched: it is where
/// the bound lies.
pub fn plot(attacks: &[Attack]) -> String {
    let height = TOP + ROW * attacks.len() as f64 + 46.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"24\" font-size=\"15\" fill=\"#222222\">Advantage over guessing, with \
         95 % interval</text>\n"
    );
    let bottom = height - 40.0;
    for tick in [-0.02, 0.0, 0.02, 0.1, 0.25, 0.5, 1.0] {
        let at = x(tick);
        let (colour, dash) =
            if tick == BOUND { ("#c23b22", " stroke-dasharray=\"5 3\"") } else { ("#dddddd", "") };
        let _ = writeln!(
            svg,
            "<line x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{bottom}\" \
             stroke=\"{colour}\"{dash}/>\n<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\" \
             fill=\"#555555\">{tick}</text>",
            bottom + 18.0
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#c23b22\">bound</text>",
        x(BOUND),
        TOP - 6.0
    );
    for (row, attack) in attacks.iter().enumerate() {
        let y = TOP + ROW * (row as f64 + 0.5);
        let colour = if attack.planted { "#777777" } else { "#1f5fa8" };
        let [low, at, high] = [attack.ci_low, attack.advantage, attack.ci_high].map(x);
        let _ = writeln!(
            svg,
            "<text x=\"16\" y=\"{:.1}\" fill=\"#222222\">{}</text>\n<line x1=\"{low:.1}\" \
             y1=\"{y:.1}\" x2=\"{high:.1}\" y2=\"{y:.1}\" stroke=\"{colour}\" \
             stroke-width=\"2\"/>\n<circle cx=\"{at:.1}\" cy=\"{y:.1}\" r=\"5\" \
             fill=\"{colour}\"/>",
            y + 4.0,
            attack.name.replace('-', " ")
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// A signed square root: small values get room, and 0 and 1 stay what they are.
fn x(advantage: f64) -> f64 {
    let root = |value: f64| value.signum() * value.abs().sqrt();
    let (least, most) = (root(-0.03), root(1.0));
    LEFT + (root(advantage.max(-0.03)) - least) / (most - least) * (WIDTH - LEFT - RIGHT)
}
