"""The style of the page: light and dark, narrow screens, print. Contrasts are those of WCAG AA."""

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --text: #1d2430; --muted: #5b6472; --line: #c9d0da; --box: #f3f5f8;
  --good: #1a6e2e; --bad: #b3261e; --busy: #1f5fbf; --wait: #b9c2cf; --mark: #fde7e5; }
@media (prefers-color-scheme: dark) { :root { --ground: #12151b; --text: #d5dae3; --muted: #9aa3b2; --line: #3a4352;
  --box: #1b212b; --good: #8ec07c; --bad: #ef737d; --busy: #7aa7f0; --wait: #465063; --mark: #47262a; } }
body { margin: 0; background: var(--ground); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1100px; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; margin: .5rem 0; } h2 { font-size: 1.1rem; margin: 1.6rem 0 .5rem; }
dl { display: flex; flex-wrap: wrap; gap: .4rem 1.6rem; margin: 1rem 0; }
dt { color: var(--muted); font-size: .85rem; } dd { margin: 0; overflow-wrap: anywhere; }
pre { background: var(--box); padding: .7rem; overflow-x: auto; font: 13px/1.45 ui-monospace, monospace; }
pre b { color: var(--muted); font-weight: normal; user-select: none; } pre .marked { background: var(--mark); }
table { border-collapse: collapse; width: 100%; } th { color: var(--muted); font-weight: normal; text-align: left; }
th, td { padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: anywhere; }
.number { text-align: right; white-space: nowrap; }
.wide { overflow-x: auto; } .muted, text.muted { color: var(--muted); }
.Succeeded { color: var(--good); } .Failed { color: var(--bad); } .Running { color: var(--busy); }
.Skipped, .Cancelled, .Pending { color: var(--muted); }
svg text { fill: var(--text); font: 13px ui-monospace, monospace; } svg text.muted { fill: var(--muted); }
.line { fill: none; stroke: var(--line); stroke-width: 1.5; } .node rect { fill: var(--box); stroke: currentColor; }
.node .sign { fill: currentColor; } .bar { fill: var(--wait); } .bar.running { fill: var(--busy); }
.bar.running.Succeeded { fill: var(--good); } .bar.running.Failed { fill: var(--bad); }
summary { cursor: pointer; overflow-wrap: anywhere; } li { overflow-wrap: anywhere; }
@media print { .wide, pre { overflow: visible; white-space: pre-wrap; } section { break-inside: avoid-page; } }
"""
