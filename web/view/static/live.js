// Keeps the parts of a page marked data-live fresh: asks for the same page again
// and puts in what changed. Everything works without it.
(() => {
  'use strict'
  const every = 10000, patience = 30000
  const note = document.getElementById('fresh'), alarm = document.getElementById('stale')
  let seen = Date.now(), asking = false

  const clock = t => new Date(t).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' })
  const warn = text => { if (alarm.textContent !== text) { alarm.textContent = text; alarm.hidden = text === '' } }

  // busy: the person is typing or choosing here.
  const busy = part => part.contains(document.activeElement) && /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)

  // trace finds the same control in a new copy of a part.
  const trace = el => el.id ? '#' + CSS.escape(el.id) : el.getAttribute('href') !== null ? el.tagName + '[href="' + CSS.escape(el.getAttribute('href')) + '"]' : null

  function renew (part, now) {
    if (part.isEqualNode(now) || busy(part)) return
    const held = part.contains(document.activeElement) ? trace(document.activeElement) : null
    const open = [...part.querySelectorAll('details[id][open]')].map(d => d.id)
    now = document.adoptNode(now)
    part.replaceWith(now)
    for (const id of open) { const d = document.getElementById(id); if (d) d.open = true }
    if (held) now.querySelector(held)?.focus({ preventScroll: true })
  }

  async function refresh () {
    if (document.hidden || asking) return
    asking = true
    try {
      const res = await fetch(location.href, { cache: 'no-store', redirect: 'manual', signal: AbortSignal.timeout(9000) })
      if (res.type === 'opaqueredirect') { warn('The session has ended. Load the page again to sign in.'); return }
      if (!res.ok) throw new Error(String(res.status))
      const doc = new DOMParser().parseFromString(await res.text(), 'text/html')
      for (const part of document.querySelectorAll('[data-live]')) {
        const now = doc.getElementById(part.id)
        if (now) renew(part, now)
      }
      document.title = doc.title
      seen = Date.now()
      note.textContent = ' Kept fresh, last at ' + clock(seen) + '.'
      warn('')
    } catch {
      if (Date.now() - seen > patience) warn('tocsin does not answer since ' + clock(seen) + ': what you see may be out of date.')
    } finally {
      asking = false
    }
  }

  note.textContent = ' Kept fresh while it is open.'
  setInterval(refresh, every)
  document.addEventListener('visibilitychange', refresh)
})()
