//! Bar charts in SVG. Behind each stands a table with the same figures.

use super::format::count;
use yew::prelude::*;

#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    pub label: String,
    pub value: u64,
}

#[derive(PartialEq, Properties)]
pub struct Props {
    /// What the bars show, for those who do not see them.
    pub title: AttrValue,
    pub bars: Vec<Bar>,
}

/// Upright bars of equal width.
#[component]
pub fn Histogram(props: &Props) -> Html {
    const HEIGHT: f64 = 90.0;
    const STEP: f64 = 12.0;
    let highest = props.bars.iter().map(|bar| bar.value).max().unwrap_or(0).max(1) as f64;
    let width = STEP * props.bars.len() as f64;
    let bar = |(at, bar): (usize, &Bar)| {
        let height = (bar.value as f64 / highest * HEIGHT).max(if bar.value > 0 { 1.0 } else { 0.0 });
        let x = at as f64 * STEP;
        html! {
            <g>
                <title>{ format!("{}: {}", bar.label, count(bar.value)) }</title>
                <rect class="bar" x={(x + 1.5).to_string()} y={format!("{:.1}", HEIGHT - height)} width={(STEP - 3.0).to_string()}
                    height={format!("{height:.1}")} rx="2" />
                <text class="axis" x={(x + STEP / 2.0).to_string()} y={(HEIGHT + 11.0).to_string()}>{ short(&bar.label) }</text>
            </g>
        }
    };
    html! {
        <svg class="histogram" viewBox={format!("0 0 {width} {}", HEIGHT + 15.0)} role="img" aria-label={props.title.clone()}>
            { for props.bars.iter().enumerate().map(bar) }
        </svg>
    }
}

/// One sign below a bar; its title and the table have the whole label.
fn short(label: &str) -> String {
    if label.chars().count() == 1 { label.to_owned() } else { "…".to_owned() }
}

/// A table whose last column is a bar.
#[component]
pub fn BarTable(props: &Props) -> Html {
    let highest = props.bars.iter().map(|bar| bar.value).max().unwrap_or(0).max(1);
    let row = |bar: &Bar| {
        let share = bar.value as f64 / highest as f64 * 100.0;
        html! {
            <tr>
                <th scope="row" class="word">{ bar.label.clone() }</th>
                <td class="number">{ count(bar.value) }</td>
                <td class="share" aria-hidden="true">
                    <svg viewBox="0 0 100 10" preserveAspectRatio="none">
                        <rect class="bar" width={format!("{share:.1}")} height="10" rx="1" />
                    </svg>
                </td>
            </tr>
        }
    };
    html! {
        <table class="bars">
            <caption>{ props.title.clone() }</caption>
            <thead class="unseen">
                <tr><th scope="col">{ "Word" }</th><th scope="col">{ "Count" }</th><td /></tr>
            </thead>
            <tbody>{ for props.bars.iter().map(row) }</tbody>
        </table>
    }
}
