// The report's style: a sheet of paper on the screen, A4 or Letter in print. It stands in the file itself, which may fetch nothing. Used by report.js.
// @ts-check

/** @param {{page: string, mark: string}} texts at the foot of each page; both are ours, without quotes */
export const paper = ({ page, mark }) => `
@page { margin: 16mm 15mm 18mm; @bottom-left { content: "${mark}"; font: 7.5pt ui-monospace, monospace; color: #555; } @bottom-right { content: "${page} " counter(page) " / " counter(pages); font: 8pt system-ui, sans-serif; color: #555; } }
:root { color-scheme: light; --ink: #1b1f24; --muted: #555c64; --line: #c9c7c1; --bonafide: #0b62a8; --spoof: #b5420a; --uncertain: #63686f; --no-speech: #6d7279; }
* { box-sizing: border-box; margin: 0; padding: 0; }
html { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Noto Sans Devanagari", "Helvetica Neue", Arial, sans-serif; background: #e9e7e2; color: var(--ink); -webkit-print-color-adjust: exact; print-color-adjust: exact; }
body { background: #fff; max-width: 56rem; margin: 2rem auto; padding: clamp(1rem, 5vw, 3.5rem); box-shadow: 0 2px 18px rgb(0 0 0 / 12%); }
header { display: flex; justify-content: space-between; align-items: baseline; flex-wrap: wrap; gap: 0 1.5rem; border-bottom: 2px solid var(--ink); padding-bottom: 0.5rem; }
h1 { font-size: 1.55rem; line-height: 1.2; letter-spacing: -0.01em; }
h2 { font-size: 1.05rem; margin: 1.6rem 0 0.45rem; break-after: avoid; }
h3 { font-size: 0.9rem; margin: 0.9rem 0 0.3rem; break-after: avoid; }
p, li { max-width: 46rem; }
.by, .note { color: var(--muted); font-size: 0.87rem; }
.note { margin-top: 0.35rem; }
.case { display: grid; grid-template-columns: 1fr 1fr 1.4fr; gap: 0 1.5rem; margin-top: 0.8rem; }
.case label, .case div { display: flex; flex-direction: column-reverse; font-size: 0.78rem; color: var(--muted); }
.case input, .case .line { font: inherit; font-size: 1rem; color: var(--ink); border: 0; border-bottom: 1px solid var(--ink); border-radius: 0; height: 1.9rem; width: 100%; min-width: 0; background: transparent; }
.case input:focus-visible { outline: 2px solid #7a3ff2; outline-offset: 1px; }
.verdict { --tone: var(--no-speech); display: grid; grid-template-columns: auto 1fr; gap: 0 1.2rem; align-items: center; margin-top: 1.2rem; padding: 1rem 1.2rem; border: 2px solid var(--tone); border-radius: 10px; break-inside: avoid; }
.bonafide { --tone: var(--bonafide); } .spoof { --tone: var(--spoof); } .uncertain { --tone: var(--uncertain); } .no_speech { --tone: var(--no-speech); }
.badge { width: 4rem; height: 4rem; display: grid; place-items: center; border: 3px solid var(--tone); border-radius: 50%; font-size: 1.9rem; font-weight: 700; color: var(--tone); }
.bonafide .badge, .spoof .badge { background: var(--tone); color: #fff; }
.spoof .badge { border-radius: 10px; }
.uncertain .badge { border-style: dashed; }
.verdict h2 { margin: 0; font-size: 1.6rem; line-height: 1.2; color: var(--tone); }
.verdict.none h2 { color: var(--ink); }
.verdict p { margin-top: 0.2rem; }
.figures { grid-column: 1 / -1; display: grid; grid-template-columns: repeat(auto-fit, minmax(7.5rem, 1fr)); gap: 0.2rem 1.2rem; margin-top: 0.8rem; padding-top: 0.6rem; border-top: 1px solid var(--line); }
.figures dt { font-size: 0.8rem; color: var(--muted); } .figures dd { font-size: 1.15rem; font-weight: 600; font-variant-numeric: tabular-nums; white-space: nowrap; }
figure { break-inside: avoid; margin-top: 0.6rem; } img { display: block; width: 100%; height: auto; border: 1px solid var(--line); border-radius: 4px; } figcaption { font-size: 0.82rem; color: var(--muted); margin-top: 0.2rem; }
table { border-collapse: collapse; width: 100%; font-size: 0.84rem; font-variant-numeric: tabular-nums; } thead { display: table-header-group; } tr { break-inside: avoid; }
th { text-align: left; font-weight: 600; border-bottom: 1.5px solid var(--ink); } td { border-bottom: 1px solid #e3e1dc; } th, td { padding: 0.16rem 0.9rem 0.16rem 0; vertical-align: baseline; } .n { text-align: right; white-space: nowrap; }
td .letter { display: inline-grid; place-items: center; width: 1.3em; height: 1.3em; margin-right: 0.45em; border: 1.5px solid var(--tone); border-radius: 50%; color: var(--tone); font-size: 0.78em; font-weight: 700; line-height: 1; }
td .letter.bonafide, td .letter.spoof { background: var(--tone); color: #fff; } td .letter.spoof { border-radius: 3px; } td .letter.uncertain { border-style: dashed; }
dl.facts { display: grid; grid-template-columns: minmax(9rem, 13rem) 1fr; gap: 0.22rem 1.2rem; font-size: 0.9rem; } .facts dt { color: var(--muted); } .facts dd { min-width: 0; overflow-wrap: anywhere; }
code { font: 0.86em/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
.same { color: var(--bonafide); font-weight: 600; } .other { color: var(--spoof); font-weight: 600; }
ol, ul { padding-left: 1.2rem; font-size: 0.9rem; } li { margin-top: 0.25rem; }
.verify { list-style: none; padding: 0; } .verify li { display: grid; grid-template-columns: 6.5rem 1fr; gap: 1rem; }
.whole, li { break-inside: avoid; } .whole table { width: auto; min-width: 24rem; } .whole :is(th, td) { padding-right: 1.8rem; }
@media (max-width: 40rem) { .case { grid-template-columns: 1fr; } dl.facts { grid-template-columns: 1fr; gap: 0; } .facts dd { margin-bottom: 0.4rem; } .scroll { overflow-x: auto; } .verify li { grid-template-columns: 1fr; gap: 0; } body { margin: 0; } }
@media print { p, li { max-width: none; } html { font-size: 9.6pt; background: #fff; } body { max-width: none; margin: 0; padding: 0 1px; box-shadow: none; } /* or borders at the edge are cut off */ .case input { border-bottom: 1px solid var(--ink); } .windows table { font-size: 8pt; line-height: 1.3; } .windows :is(td, th) { padding-block: 0.04rem; } .windows td .letter { width: 1.25em; height: 1.25em; border-width: 1px; } }
`;
