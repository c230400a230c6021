"""The pages that the process serves, and the JavaScript SDK. No build step, no outside host.

routes.py             the pages and their files, as Starlette routes
static/home.*         `/`: what is running, and the way to the others
static/phone.*        `/phone`: the viewer votes
static/screen.*       `/screen`: the studio screen, 16:9, `?transparent=1` for keying
static/screen/        its parts: the stage that draws it, and for graphics hosts too, rows, layout, reveal, words
static/control.*      `/control`: the control room
static/control/       its parts: keys, presses and guards, cues on their way, lists, lights, votes a second, blindness
static/theme.css      the house look that all four share
static/page.js        small helpers that all four share
sdk/                  the JavaScript SDK, served under `/web/sdk/`
static/fonts/         Archivo and Kantumruy Pro, SIL Open Font License 1.1
"""
