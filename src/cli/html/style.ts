/** The look of the report. No image, no font and no rule comes from elsewhere. */
export const STYLE = `
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--text:#1b2330;--soft:#5b6777;--line:#e1e5ea;--bar:#3b6fb6;--bar2:#a9c3e6;
--ok:#1a7f4b;--okbg:#e2f5ea;--warn:#8a5a00;--warnbg:#fdf0d3;--bad:#b3261e;--badbg:#fce4e2;--none:#5b6777;--nonebg:#eceff3}
@media(prefers-color-scheme:dark){:root{--bg:#12161c;--card:#1a2029;--text:#e4e9f0;--soft:#98a4b3;--line:#2b333f;--bar:#6ea3ea;--bar2:#39557c;
--ok:#6fd39c;--okbg:#173326;--warn:#f0c060;--warnbg:#3a2e12;--bad:#ff8a80;--badbg:#43201e;--none:#98a4b3;--nonebg:#262e39}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);font:15px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1520px;margin:0 auto;padding:28px 24px 64px}
h1{font-size:26px;margin:0;letter-spacing:-.01em}
h2{font-size:19px;margin:40px 0 12px}
h3{font-size:15px;margin:0;font-weight:600}
p{margin:4px 0}
.soft{color:var(--soft)}
code,.key{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:12px;margin:22px 0 8px}
.tile{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px 16px}
.tile b{display:block;font-size:24px;font-weight:650;letter-spacing:-.02em}
.tile.bad b{color:var(--bad)}.tile.late b{color:var(--warn)}.tile.good b{color:var(--ok)}
.tools{display:flex;flex-wrap:wrap;gap:8px 18px;align-items:center;margin:18px 0 10px}
.tools[hidden]{display:none}
input[type=search]{font:inherit;color:inherit;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:7px 11px;width:260px}
.card{background:var(--card);border:1px solid var(--line);border-radius:10px;overflow-x:auto}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:8px 6px;text-align:left;vertical-align:middle;white-space:nowrap}
thead th{font-size:12.5px;font-weight:600;color:var(--soft);border-bottom:1px solid var(--line)}
tbody tr+tr td{border-top:1px solid var(--line)}
td.r,th.r{text-align:right}
td.wrap{white-space:normal;overflow-wrap:anywhere;min-width:92px}
td.host{font-size:14.5px;white-space:normal;overflow-wrap:anywhere;min-width:172px;max-width:260px;font-weight:550}
th button{all:unset;cursor:pointer}
th button:focus-visible,summary:focus-visible,a:focus-visible{outline:2px solid var(--bar);outline-offset:2px;border-radius:3px}
th[aria-sort=ascending] button::after{content:" \\2191"}
th[aria-sort=descending] button::after{content:" \\2193"}
a{color:inherit;text-decoration-color:var(--soft);text-underline-offset:3px}
.pill{display:inline-block;white-space:nowrap;border-radius:99px;padding:1px 10px;font-size:12.5px;font-weight:600;color:var(--none);background:var(--nonebg)}
.pill.ok{color:var(--ok);background:var(--okbg)}
.pill.late,.pill.recovered,.pill.paused{color:var(--warn);background:var(--warnbg)}
.pill.broken,.pill.unreadable{color:var(--bad);background:var(--badbg)}
.note{font-size:13px;color:var(--soft)}
.much{color:var(--warn);font-weight:600}
svg{display:block;overflow:visible}
path{fill:none;stroke:var(--bar)}
path.increment{stroke:var(--bar2)}
path.broken{stroke:var(--bad)}
details{background:var(--card);border:1px solid var(--line);border-radius:10px;margin:10px 0}
summary{cursor:pointer;padding:12px 16px;font-weight:600}
summary .pill{margin-left:10px}
.subject{padding:14px 16px 18px;border-top:1px solid var(--line)}
.charts{display:flex;flex-wrap:wrap;gap:14px 32px;margin:10px 0 12px}
.charts figure{margin:0;min-width:0;max-width:100%}
.charts svg{max-width:100%}
.charts figcaption{font-size:12.5px;color:var(--soft);margin-bottom:6px}
.legend{display:inline-flex;gap:14px;flex-wrap:wrap}
.legend i{display:inline-block;width:10px;height:10px;border-radius:2px;background:var(--bar);margin-right:6px}
.legend i.increment{background:var(--bar2)}.legend i.broken{background:var(--bad)}
.subject table td,.subject table th{padding:4px 12px 4px 0;font-size:13.5px}
.scroll{overflow-x:auto}
@media(max-width:820px){
main{padding:18px 14px 48px}
input[type=search]{width:100%}
.fleet thead{display:none}
.fleet,.fleet tbody{display:block}
.fleet tr{display:grid;grid-template-columns:1fr 1fr;gap:2px 12px;padding:12px 14px}
.fleet tr+tr{border-top:1px solid var(--line)}
.fleet tr[hidden]{display:none}
.fleet tbody tr td{display:block;padding:2px 0;border:0;text-align:left;white-space:normal;overflow-wrap:anywhere}
.fleet td[data-name]::before{content:attr(data-name);display:block;font-size:11.5px;color:var(--soft)}
.fleet td.none{display:none}
.fleet td svg{width:100%;height:24px}
}
@media print{body{background:#fff}.tools,thead button::after{display:none}details{break-inside:avoid}}
`;
