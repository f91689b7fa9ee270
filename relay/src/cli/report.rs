//! A count as it is shown to a person.

use super::failure::Failure;
use super::output::{Output, printable};
use super::size::{show, thousands};
use shared::limits;
use shared::words::{CountReport, ReportWord};
use unicode_width::UnicodeWidthStr as _;

/// Columns of the longest bar beside a word's count.
const BAR_COLUMNS: u64 = 30;

/// Columns of a word; a longer one is shown cut.
const WORD_COLUMNS_MAX: usize = 40;

/// Found out before a relay is asked for anything.
pub fn check_top(top: u32) -> Result<(), Failure> {
    let max = limits::REPORT_TOP_MAX;
    if top > max {
        return Err(Failure::usage(format!("--top {top} is too much: a report shows at most {max} words"))
            .hint("`wordraft count --csv` and `wordraft jobs words JOB --csv` have no limit"));
    }
    Ok(())
}

pub fn write(report: &CountReport, output: &mut Output) -> Result<(), Failure> {
    write_totals(report, output)?;
    write_top(report, output)?;
    write_workers(report, output)
}

fn write_totals(report: &CountReport, output: &mut Output) -> Result<(), Failure> {
    let CountReport { mode, bytes, seconds, .. } = report;
    let speed = (*bytes as f64 / seconds.max(1e-6)) as u64;
    let done = format!("Counted {} in {seconds:.2} s", output.bold(show(*bytes)));
    output.line(format!("{done} ({}/s), {mode} words", show(speed)))?;
    output.line("")?;
    for (name, number) in
        [("words", report.total), ("different", report.unique), ("lines", report.lines), ("bytes", *bytes)]
    {
        output.line(format!("  {name:<10} {}", output.bold(format!("{:>18}", thousands(number)))))?;
    }
    for (name, word) in [("most", &report.max), ("least", &report.min)] {
        if let Some(word) = word {
            let count = thousands(word.count);
            output.line(format!("  {name:<10} {count:>18}  {}", output.bold(shown(word))))?;
        }
    }
    Ok(())
}

fn write_top(report: &CountReport, output: &mut Output) -> Result<(), Failure> {
    let words: Vec<String> = report.top.iter().map(shown).collect();
    let (Some(first), Some(columns)) = (report.top.first(), words.iter().map(|word| word.width()).max())
    else {
        return Ok(());
    };
    output.line("")?;
    let rank_columns = words.len().to_string().len();
    let count_columns = thousands(first.count).len();
    for (rank, (shown, word)) in (1..).zip(words.iter().zip(&report.top)) {
        let gap = " ".repeat(columns.saturating_sub(shown.width()));
        let share = 100.0 * word.count as f64 / report.total.max(1) as f64;
        let bar = "█".repeat((word.count * BAR_COLUMNS).div_ceil(first.count.max(1)) as usize);
        let (rank, count) = (output.dim(format!("{rank:>rank_columns$}")), thousands(word.count));
        let shown = output.bold(shown);
        output.line(format!(
            "  {rank}  {shown}{gap}  {count:>count_columns$} {share:>5.2} %  {}",
            output.dim(bar)
        ))?;
    }
    Ok(())
}

fn write_workers(report: &CountReport, output: &mut Output) -> Result<(), Failure> {
    if report.workers.is_empty() {
        return Ok(());
    }
    output.line("")?;
    let columns =
        report.workers.iter().map(|worker| printable(&worker.name).width()).max().unwrap_or_default();
    for worker in &report.workers {
        let name = printable(&worker.name);
        let gap = " ".repeat(columns.saturating_sub(name.width()));
        let (bytes, tasks) = (show(worker.bytes), worker.tasks);
        let plural = if tasks == 1 { "" } else { "s" };
        output.line(format!("  {name}{gap}  {:<6}  {bytes:>9} in {tasks} task{plural}", worker.kind))?;
    }
    Ok(())
}

fn shown(word: &ReportWord) -> String {
    let text = printable(&word.word);
    if text.width() <= WORD_COLUMNS_MAX && word.length.is_none() {
        return text;
    }
    let mut columns = 0;
    let fits = |c: &char| {
        columns += unicode_width::UnicodeWidthChar::width(*c).unwrap_or_default();
        columns < WORD_COLUMNS_MAX
    };
    let mut cut: String = text.chars().take_while(fits).collect();
    cut.push('…');
    cut
}
