// Before the first paint, so that nobody sees the wrong colours flash by; a module would come too late.
try {
  const { theme, language } = JSON.parse(localStorage.getItem("chat:preferences") ?? "{}");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  if (language) document.documentElement.lang = language;
} catch {
  // nothing is kept, or nothing may be: the system's colours it is
}
