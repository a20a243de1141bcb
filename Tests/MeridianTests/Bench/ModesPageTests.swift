import BenchSupport
import Foundation
import Testing

#if canImport(FoundationXML)
    import FoundationXML
#endif

/// The page, the charts and the text of `bench-modes`, on made-up figures.
@Suite struct ModesPageTests {
    @Test func whatHasAMeaningInMarkupIsEscaped() {
        #expect(Markup.escape("a<b> & \"c\" 'd'") == "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;")
        #expect(Markup.escape("nul\u{0}, bell\u{7}") == "nul\u{FFFD}, bell\u{FFFD}")
    }

    @Test func aPageIsWellFormedAndNeedsNothingElse() throws {
        let page = ModesPage(
            run: .sample, command: "bench-modes --html a&b<c>.html", date: Date(timeIntervalSince1970: 0))
        let found = try Elements(page.text)
        #expect(found.names.filter { $0 == "svg" }.count == 10)
        #expect(found.text.contains("bench-modes --html a&b<c>.html"))
        #expect(found.text.contains("1970-01-01T00:00:00Z"))
        for name in ["script", "link", "img", "iframe", "object"] { #expect(!found.names.contains(name)) }
        let references = found.attributes.filter { ["src", "href", "xlink:href", "style"].contains($0.name) }
        #expect(references.isEmpty, "\(references)")
        #expect(!page.text.contains("url(") && !page.text.contains("@import"))
        #expect(page.text.contains("prefers-color-scheme: dark"))
        #expect(page.text.utf8.count < 60_000)
    }

    @Test func everyChartHasATitleAndSaysItsValues() throws {
        let page = ModesPage(run: .sample, command: "", date: Date())
        let found = try Elements(page.text)
        let ids = Set(found.attributes.filter { $0.name == "id" }.map(\.value))
        let labels = found.attributes.filter { $0.name == "aria-labelledby" }.flatMap { $0.value.split(separator: " ") }
        #expect(labels.count == 20)
        for label in labels { #expect(ids.contains(String(label))) }
        #expect(found.text.contains("synchronous, zone survival: RTO until it returns"))
    }

    @Test func barsStayInsideTheDrawingAndKeepTheirOrder() throws {
        let chart = BarChart(
            id: "c", title: "t", unit: "ms", series: ["p50"],
            rows: ([0.4, 0, 71, 5000] as [Double]).map { BarChart.Row("\($0)", [$0]) } + [BarChart.Row("none", [nil])])
        #expect(chart.isLogarithmic)
        let found = try Elements(chart.svg)
        let widths = found.attributes.filter { $0.name == "width" }.compactMap { Double($0.value) }
        // Nothing is drawn for 0 and for what there is none of.
        #expect(widths.count == 3)
        #expect(widths == widths.sorted() && widths[0] >= 2 && widths[2] < 300)
        #expect(found.attributes.filter { $0.name == "x" }.allSatisfy { (0..<330).contains(Double($0.value) ?? -1) })
    }

    @Test(arguments: [[0.0, 0], [3, 7], [0.001, 5000], [250, 250]])
    func aChartOfAnyValuesIsDrawn(_ values: [Double]) throws {
        let rows = values.map { BarChart.Row("mode", [$0]) }
        let chart = BarChart(id: "c", title: "t", unit: "ms", series: ["a"], rows: rows)
        #expect(!chart.svg.contains("nan") && !chart.svg.contains("inf"))
        _ = try Elements(chart.svg)
    }

    @Test func theTextHasARowForEachModeAndSaysWhatIsNotThere() {
        let text = ModesText.text(of: .sample)
        let rows = text.split(separator: "\n").filter { $0.hasPrefix("synchronous, zone survival ") }
        #expect(rows.count == 2)
        #expect(rows.last?.contains("until it returns") == true && rows.last?.contains("0, if disks return") == true)
        #expect(text.contains("4 writes, 38 ms"))
        #expect(text.contains("17 repeated") && text.contains("5 merged"))
    }

    @Test(arguments: [(0, "0"), (0.42, "0.42 ms"), (3.14, "3.1 ms"), (93.3, "93 ms"), (3210, "3.21 s")])
    func timesAreWrittenWithTheirUnit(_ milliseconds: Double, _ text: String) {
        #expect(ModesText.time(milliseconds) == text)
    }
}

/// What a parser finds in a document; it refuses what is not well-formed.
private final class Elements: NSObject, XMLParserDelegate {
    private(set) var names: [String] = []
    private(set) var attributes: [(name: String, value: String)] = []
    private(set) var text = ""

    init(_ document: String) throws {
        super.init()
        let parser = XMLParser(data: Data(document.utf8))
        parser.delegate = self
        guard parser.parse() else {
            throw NotWellFormed(line: parser.lineNumber, reason: "\(parser.parserError.debugDescription)")
        }
    }

    struct NotWellFormed: Error {
        var line: Int
        var reason: String
    }

    func parser(
        _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
        attributes: [String: String]
    ) {
        names.append(name)
        self.attributes += attributes.map { ($0.key, $0.value) }
    }

    func parser(_ parser: XMLParser, foundCharacters string: String) { text += string }
}
