//! Where texts come in: dropped, chosen, pasted, or made up.

use super::format::{bytes, percent};
use super::hub::Hub;
use super::model::{Problem, Upload};
use shared::words::Mode;
use shared::words::sample::{Sample, SampleOptions};
use web_sys::{Blob, DragEvent, File, FileList, HtmlInputElement, HtmlSelectElement, HtmlTextAreaElement};
use yew::prelude::*;

/// The sample that *try a sample* makes.
const SAMPLE_BYTES: u64 = 5_000_000;

#[derive(PartialEq, Properties)]
pub struct Props {
    pub uploads: Vec<Upload>,
    pub problems: Vec<Problem>,
}

#[component]
pub fn Intake(props: &Props) -> Html {
    let hub = use_context::<Hub>().expect("the page provides its hub");
    let mode = use_state(Mode::default);
    let hovered = use_state(|| false);
    let pasting = use_state(|| false);

    let take_files = {
        let (hub, mode) = (hub.clone(), mode.clone());
        move |files: Option<FileList>| {
            for file in files.iter().flat_map(|files| (0..files.length()).filter_map(|at| files.get(at))) {
                let file: File = file;
                hub.count(file.name(), file.into(), *mode);
            }
        }
    };
    let on_drop = {
        let (hovered, take_files) = (hovered.clone(), take_files.clone());
        Callback::from(move |event: DragEvent| {
            event.prevent_default();
            hovered.set(false);
            take_files(event.data_transfer().and_then(|transfer| transfer.files()));
        })
    };
    let hover = |over: bool| {
        let hovered = hovered.clone();
        Callback::from(move |event: DragEvent| {
            event.prevent_default();
            hovered.set(over);
        })
    };
    let on_choose = Callback::from(move |event: Event| {
        let input = event.target_unchecked_into::<HtmlInputElement>();
        take_files(input.files());
        // The same file can be chosen again.
        input.set_value("");
    });
    let on_sample = {
        let (hub, mode) = (hub.clone(), mode.clone());
        Callback::from(move |_: MouseEvent| {
            let mut text = Vec::new();
            let mut sample = Sample::new(SampleOptions { bytes: SAMPLE_BYTES, ..SampleOptions::default() });
            sample.fill(&mut text, SAMPLE_BYTES as usize);
            if let Some(blob) = blob_of(&text) {
                hub.count("sample.txt".to_owned(), blob, *mode);
            }
        })
    };
    let on_paste = {
        let (hub, mode, pasting) = (hub.clone(), mode.clone(), pasting.clone());
        Callback::from(move |text: String| {
            pasting.set(false);
            if let Some(blob) = blob_of(text.as_bytes()) {
                hub.count("pasted text".to_owned(), blob, *mode);
            }
        })
    };
    let toggle_pasting = {
        let pasting = pasting.clone();
        Callback::from(move |_: MouseEvent| pasting.set(!*pasting))
    };
    html! {
        <section class="card" aria-labelledby="intake-title">
            <div id="drop" class={classes!("drop", hovered.then_some("over"))}
                ondragover={hover(true)} ondragenter={hover(true)} ondragleave={hover(false)} ondrop={on_drop}>
                <h2 id="intake-title">{ "Drop a text here to count its words" }</h2>
                <p>{ "Every member of the cluster counts a part of it." }</p>
                <div class="choices">
                    <label class="button primary">
                        { "Choose a file" }
                        <input id="file" class="unseen" type="file" multiple=true onchange={on_choose} />
                    </label>
                    <button id="paste" onclick={toggle_pasting} aria-expanded={pasting.to_string()}>{ "Paste a text" }</button>
                    <button id="sample" onclick={on_sample}>{ format!("Try a sample, {}", bytes(SAMPLE_BYTES)) }</button>
                    <Modes mode={*mode} on_choose={move |chosen| mode.set(chosen)} />
                </div>
            </div>
            if *pasting {
                <Paste on_paste={on_paste} />
            }
            { for props.uploads.iter().map(upload) }
            { for props.problems.iter().map(|problem| html! {
                <ProblemNote key={problem.key} problem={problem.clone()} />
            }) }
        </section>
    }
}

fn upload(upload: &Upload) -> Html {
    let progress = upload.progress;
    html! {
        <div class="progress" key={upload.key}>
            <label for={format!("upload-{}", upload.key)}>
                { format!("Storing {}: {} of {}", upload.name, bytes(progress.bytes_stored), bytes(progress.bytes)) }
                <span>{ percent(progress.bytes_stored, progress.bytes) }</span>
            </label>
            <progress id={format!("upload-{}", upload.key)} max={progress.bytes.max(1).to_string()}
                value={progress.bytes_stored.to_string()} />
        </div>
    }
}

#[derive(PartialEq, Properties)]
struct ProblemProps {
    problem: Problem,
}

#[component]
fn ProblemNote(props: &ProblemProps) -> Html {
    let hub = use_context::<Hub>().expect("the page provides its hub");
    let key = props.problem.key;
    html! {
        <p class="problem" role="alert">
            { props.problem.message.clone() }
            <button onclick={move |_: MouseEvent| hub.dismiss(key)}>{ "Close" }</button>
        </p>
    }
}

#[derive(PartialEq, Properties)]
struct PasteProps {
    on_paste: Callback<String>,
}

#[component]
fn Paste(props: &PasteProps) -> Html {
    let area = use_node_ref();
    let submit = {
        let (area, on_paste) = (area.clone(), props.on_paste.clone());
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            let text = area.cast::<HtmlTextAreaElement>().map(|area| area.value()).unwrap_or_default();
            on_paste.emit(text);
        })
    };
    html! {
        <form class="paste" onsubmit={submit}>
            <label for="pasted">{ "The text" }</label>
            <textarea id="pasted" ref={area} rows="6" />
            <button class="primary" type="submit">{ "Count it" }</button>
        </form>
    }
}

#[derive(PartialEq, Properties)]
struct ModesProps {
    mode: Mode,
    on_choose: Callback<Mode>,
}

/// What counts as a word.
#[component]
fn Modes(props: &ModesProps) -> Html {
    let choose = {
        let on_choose = props.on_choose.clone();
        Callback::from(move |event: Event| {
            let chosen = event.target_unchecked_into::<HtmlSelectElement>().value();
            on_choose.emit(chosen.parse().unwrap_or_default());
        })
    };
    let option = |mode: Mode, label: &'static str| {
        html! { <option value={mode.to_string()} selected={mode == props.mode}>{ label }</option> }
    };
    html! {
        <label class="modes">
            { "Words are" }
            <select id="mode" onchange={choose}>
                { option(Mode::Unicode, "Unicode words") }
                { option(Mode::Whitespace, "between white space") }
                { option(Mode::Ascii, "between ASCII spaces") }
            </select>
        </label>
    }
}

fn blob_of(text: &[u8]) -> Option<Blob> {
    let parts = js_sys::Array::of1(&js_sys::Uint8Array::from(text));
    Blob::new_with_u8_array_sequence(&parts).ok()
}
