/* Lets django-unfold's pages work with Alpine's CSP build, which evaluates no strings as code:
   functions and globals that unfold's expressions use must be registered, and expressions that its
   parser does not know are replaced. See docs/decisions/0021-content-security-policy.md. */

htmx.config.allowEval = false;
htmx.config.includeIndicatorStyles = false;

// The CSP build knows no "if", and one expression in each attribute: an array evaluates several.
function supportedExpression(expression) {
  if (expression.startsWith("openSearchResults = false; if (")) {
    return "leaveSearch()";
  }
  const statements = expression.split(";").filter((statement) => statement.trim());
  return `[${statements.join(",").replace(/^if \((.+?)\) /, "$1 && ")}]`;
}

document.addEventListener("alpine:init", () => {
  Alpine.data("theme", theme);
  Alpine.data("searchForm", searchForm);
  Alpine.data("searchCommand", searchCommand);
  Alpine.data("searchDropdown", () => ({
    ...searchDropdown(),
    leaveSearch() {
      this.openSearchResults = false;
      const input = this.$refs.searchInput;
      if (input.value === "") {
        input.blur();
      } else {
        input.value = "";
      }
    },
  }));
  Alpine.data("page", (firstTab) => ({
    activeTab: getCurrentTab() || firstTab,
    sidebarMobileOpen: false,
    sidebarDesktopOpen: localStorage.getItem("sidebarDesktopOpen") !== "0",
    // Expressions reach no globals; these are the parts of them that unfold's use.
    localStorage: { setItem: (key, value) => localStorage.setItem(key, value) },
    window: {
      location: {
        get pathname() { return location.pathname; },
        get search() { return location.search; },
      },
    },
    moveRecords,
    sortRecords,
    init() {
      this.$watch("sidebarDesktopOpen", (open) =>
        localStorage.setItem("sidebarDesktopOpen", open ? "1" : "0"));
    },
  }));
  const unsupported = document.evaluate(
    "//@*[starts-with(name(), 'x-on:')][contains(., ';') or starts-with(., 'if ')]",
    document, null, XPathResult.ORDERED_NODE_SNAPSHOT_TYPE);
  for (let number = 0; number < unsupported.snapshotLength; number++) {
    const attribute = unsupported.snapshotItem(number);
    attribute.value = supportedExpression(attribute.value);
  }
});
