"""How the page looks, light, dark and on paper: its style sheet, and the pictures' patterns.

Not what stands on it (`page`). The colours are told apart by people who see few of them (after
Okabe and Ito), and each has a pattern of its own besides.
"""

CSS = """
:root{color-scheme:light dark;
--paper:#fff;--ink:#1c2024;--soft:#5b6570;--line:#d9dee3;--card:#f6f7f9;
--running:#0072b2;--paused:#e69f00;--building:#cc79a7;--staging:#56b4e9;--other:#b4bbc2;
--free:#e3efe8;--away:#cfd4d9;--off:#fff;--mark:#fff;
--failed:#d55e00;--succeeded:#0072b2;--job:#fff}
@media (prefers-color-scheme:dark){:root{
--paper:#14171a;--ink:#e6e9ec;--soft:#9aa5b0;--line:#353c44;
--card:#1d2125;
--running:#2f93d1;--paused:#e69f00;--building:#d68bb5;--staging:#7cc7f2;--other:#6d7780;
--free:#22352b;--away:#3b424a;--off:#14171a;--mark:#14171a;--failed:#e8743b;--succeeded:#2f93d1;
--job:#0b0d0f}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:70rem;padding:1.5rem;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
h1{font-size:1.6rem;margin:0;overflow-wrap:anywhere}h2{font-size:1.15rem;margin:2rem 0 .5rem}
p{margin:.3rem 0}.soft{color:var(--soft)}
.figures{display:flex;flex-wrap:wrap;gap:.6rem;margin:1.2rem 0 0;padding:0}
.figures div{background:var(--card);border:1px solid var(--line);border-radius:6px;
padding:.45rem .8rem;min-width:7.5rem}
.figures dt{color:var(--soft);font-size:.8rem}
.figures dd{margin:0;font-size:1.15rem;font-weight:600}
svg{display:block;width:100%;height:auto;overflow:visible}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(22rem,1fr));gap:0 2rem}
.two h3{font-size:1rem;margin:.8rem 0 .3rem}
.legend{display:flex;flex-wrap:wrap;gap:.3rem 1.1rem;padding:0;margin:.2rem 0 .7rem;list-style:none;
font-size:.85rem}.legend li{display:flex;align-items:center;gap:.4rem}
.legend svg{width:26px;height:13px;flex:none}
text{font:11px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:var(--ink)}
.name{font-size:12px}.mark{fill:var(--soft)}.job{fill:var(--job);font-size:9.5px;pointer-events:none}
.axis{stroke:var(--soft);fill:none}.tick{stroke:var(--line);stroke-width:.6;fill:none}
.median{stroke:var(--ink);stroke-width:1.3;stroke-dasharray:4 3;fill:none}
.unknown{fill:none;stroke:var(--line);stroke-width:.5}.spot{fill:transparent}
.spot:hover{stroke:var(--ink);stroke-width:1}
.running{fill:var(--running)}.paused{fill:url(#p-paused)}.building{fill:url(#p-building)}
.staging{fill:url(#p-staging)}.other{fill:url(#p-other)}.free{fill:var(--free)}
.away{fill:url(#p-away)}.off{fill:url(#p-off)}
.succeeded{fill:var(--succeeded)}.failed{fill:url(#p-failed)}
table{border-collapse:collapse;width:100%;font-size:.87rem;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .6rem .25rem 0;text-align:left;vertical-align:top;
border-bottom:1px solid var(--line);overflow-wrap:anywhere}
th{color:var(--soft);font-weight:500;overflow-wrap:normal}.n{text-align:right;white-space:nowrap}
.wide{overflow-x:auto}.wide td:first-child:not(.n){min-width:6rem}
.two table{font-size:.82rem}.two td,.two th{padding-right:.4rem}
.sum tbody tr:last-child td{font-weight:600}
pre{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.6rem .8rem;
margin:.3rem 0 1rem;white-space:pre-wrap;overflow-wrap:anywhere;font:12.5px/1.4 ui-monospace,
"DejaVu Sans Mono",Menlo,Consolas,monospace}
h3.fail{font-size:.95rem;margin:1rem 0 0;overflow-wrap:anywhere}
summary{cursor:pointer;margin:.6rem 0;color:var(--soft)}
footer{margin:2.5rem 0 0;padding-top:.6rem;border-top:1px solid var(--line);font-size:.8rem;
color:var(--soft)}
@media print{:root{color-scheme:light;--paper:#fff;--ink:#000;--soft:#444;--line:#bbb;--card:#fff;
--running:#0072b2;--paused:#e69f00;--building:#cc79a7;--staging:#56b4e9;--other:#b4bbc2;
--free:#e3efe8;--away:#cfd4d9;--off:#fff;--mark:#fff;
--failed:#d55e00;--succeeded:#0072b2;--job:#fff}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
body{max-width:none;padding:0;font-size:10.5pt}details{display:none}
.two{grid-template-columns:1fr 1fr}table{font-size:8.5pt}.two table{font-size:7.5pt}
svg,.figures div,tr,h3.fail+p+pre{break-inside:avoid}
h2,h3{break-after:avoid}.wide{overflow:visible}}
"""

# Hatched, dotted, lined: what a colour means is to be seen without it.
PATTERNS = (
    '<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>'
    '<pattern id="p-paused" width="6" height="6" patternUnits="userSpaceOnUse"'
    ' patternTransform="rotate(45)"><rect width="6" height="6" fill="var(--paused)"/>'
    '<rect width="2" height="6" fill="var(--mark)"/></pattern>'
    '<pattern id="p-building" width="4" height="4" patternUnits="userSpaceOnUse">'
    '<rect width="4" height="4" fill="var(--building)"/>'
    '<rect width="1.2" height="4" fill="var(--mark)"/></pattern>'
    '<pattern id="p-staging" width="4" height="4" patternUnits="userSpaceOnUse">'
    '<rect width="4" height="4" fill="var(--staging)"/>'
    '<circle cx="2" cy="2" r=".9" fill="var(--mark)"/></pattern>'
    '<pattern id="p-other" width="4" height="4" patternUnits="userSpaceOnUse">'
    '<rect width="4" height="4" fill="var(--other)"/>'
    '<rect width="4" height="1" fill="var(--mark)" opacity=".3"/></pattern>'
    '<pattern id="p-away" width="7" height="7" patternUnits="userSpaceOnUse"'
    ' patternTransform="rotate(-45)"><rect width="7" height="7" fill="var(--away)"/>'
    '<rect width="1.2" height="7" fill="var(--soft)" opacity=".55"/></pattern>'
    '<pattern id="p-off" width="5" height="5" patternUnits="userSpaceOnUse">'
    '<rect width="5" height="5" fill="var(--off)"/>'
    '<circle cx="2.5" cy="2.5" r=".6" fill="var(--soft)"/></pattern>'
    '<pattern id="p-failed" width="5" height="5" patternUnits="userSpaceOnUse"'
    ' patternTransform="rotate(45)"><rect width="5" height="5" fill="var(--failed)"/>'
    '<rect width="1.5" height="5" fill="var(--mark)"/></pattern></defs></svg>'
)
