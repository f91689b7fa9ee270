//! The result of a count.

use super::chart::{Bar, BarTable, Histogram};
use super::format::{bytes, count, percent, seconds};
use super::hub::Hub;
use super::text;
use shared::state_machine::JobResult;
use shared::words::SummaryWord;
use std::rc::Rc;
use yew::prelude::*;

/// Words in the list on the page; the whole table is behind *Download*.
const SHOWN: usize = 20;

#[derive(PartialEq, Properties)]
pub struct Props {
    pub result: Rc<JobResult>,
    pub name: String,
}

#[component]
pub fn ResultView(props: &Props) -> Html {
    let hub = use_context::<Hub>().expect("the page provides its hub");
    let summary = &props.result.summary;
    let download = {
        let (name, result) = (props.name.clone(), props.result.clone());
        Callback::from(move |_: MouseEvent| hub.download_csv(name.clone(), result.clone()))
    };
    let top: Vec<Bar> = (summary.top.iter().take(SHOWN))
        .map(|word| Bar { label: word_text(word), value: word.count })
        .collect();
    let letters: Vec<Bar> = (summary.letters.iter())
        .map(|(letter, total)| Bar { label: letter.to_string(), value: total.total })
        .collect();
    html! {
        <div id="result">
            <dl class="totals">
                { total("words", "Words", &count(summary.totals.total)) }
                { total("unique", "Different", &count(summary.totals.unique)) }
                { total("lines", "Lines", &count(summary.totals.lines)) }
                { total("bytes", "Size", &bytes(summary.totals.bytes)) }
                { total("seconds", "Time", &seconds(props.result.micros)) }
            </dl>
            if summary.totals.total == 0 {
                <p class="quiet">{ "There are no words in this text." }</p>
            } else {
                <div class="charts">
                    <BarTable title="Most frequent words" bars={top} />
                    <div>
                        <h3>{ "Words by first letter" }</h3>
                        <Histogram title="Words by first letter" bars={letters.clone()} />
                        <Letters bars={letters} />
                        <h3>{ "Who counted" }</h3>
                        <Workers result={props.result.clone()} />
                    </div>
                </div>
            }
            <p><button id="download" onclick={download}>{ "Download all words as CSV" }</button></p>
        </div>
    }
}

fn total(id: &'static str, label: &'static str, value: &str) -> Html {
    html! {
        <div><dt>{ label }</dt><dd id={format!("total-{id}")}>{ value.to_owned() }</dd></div>
    }
}

fn word_text(word: &SummaryWord) -> String {
    let shown = String::from_utf8_lossy(&word.prefix);
    if word.is_whole() { shown.into_owned() } else { format!("{shown}…") }
}

#[derive(PartialEq, Properties)]
struct LettersProps {
    bars: Vec<Bar>,
}

#[component]
fn Letters(props: &LettersProps) -> Html {
    html! {
        <details>
            <summary>{ "As a table" }</summary>
            <BarTable title="Words by first letter" bars={props.bars.clone()} />
        </details>
    }
}

#[derive(PartialEq, Properties)]
struct WorkersProps {
    result: Rc<JobResult>,
}

#[component]
fn Workers(props: &WorkersProps) -> Html {
    let workers = &props.result.workers;
    let all = workers.iter().map(|worker| worker.bytes).sum();
    html! {
        <table id="workers">
            <thead>
                <tr>
                    <th scope="col">{ "Member" }</th>
                    <th scope="col" class="number">{ "Tasks" }</th>
                    <th scope="col" class="number">{ "Text" }</th>
                    <th scope="col" class="number">{ "Share" }</th>
                </tr>
            </thead>
            <tbody>
                { for workers.iter().map(|worker| html! {
                    <tr data-kind={text::kind(worker.kind)}>
                        <th scope="row">
                            { worker.name.clone() }<span class="quiet">{ format!(" {}", text::kind(worker.kind)) }</span>
                        </th>
                        <td class="number">{ worker.tasks }</td>
                        <td class="number">{ bytes(worker.bytes) }</td>
                        <td class="number">{ percent(worker.bytes, all) }</td>
                    </tr>
                }) }
            </tbody>
        </table>
    }
}
