"""Pages of reports, read back."""

import html.parser


class Page(html.parser.HTMLParser):
    """Collects the text, the addresses, the tables and whether tags are closed."""

    def __init__(self, text):
        super().__init__()
        self.words, self.addresses, self.tags, self.open, self.tables = [], [], [], [], []
        self.feed(text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.addresses += [attributes[name] for name in ("src", "href") if name in attributes]
        self.tags.append((tag, attributes))
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append({**attributes, "text": ""})
        if tag not in ("meta", "img", "br", "link", "wbr"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.words.append(data)
        if set(self.open) & {"td", "th"}:
            self.tables[-1][-1][-1]["text"] += data

    def table(self, *headings):
        """The rows, heading -> text, of the first table that has these headings."""
        return [{name: cell["text"] for name, cell in row.items()} for row in self.cells(*headings)]

    def cells(self, *headings):
        for head, *rows in self.tables:
            found = [" ".join(cell["text"].split()) for cell in head]
            if set(headings) <= set(found):
                return [dict(zip(found, row)) for row in rows]
        raise AssertionError(f"no table has {headings}")
