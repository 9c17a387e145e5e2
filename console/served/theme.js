// Sets the chosen theme before the first paint, so that a reload does not flash.
// In: `spotter.theme` in localStorage. Out: `data-theme` on the root. A classic script on purpose: it must block.
(function () {
  try {
    const theme = localStorage.getItem('spotter.theme');
    if (theme === 'dark' || theme === 'light') document.documentElement.dataset.theme = theme;
  } catch { /* Storage may be forbidden; the system's theme holds. */ }
})();
