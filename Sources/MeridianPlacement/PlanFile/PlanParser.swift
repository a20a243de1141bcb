import MeridianCore

/// Statements into a plan. Regions are read first, so that they can be named before they are declared.
struct PlanParser {
    struct RegionLine {
        var name: PlanWord
        var descriptor: RegionDescriptor
    }

    struct Distance {
        var word: PlanWord
        var first: Region
        var second: Region
        var nanoseconds: Int64
    }

    let file: String
    var regions: [RegionLine] = []
    var matrix: (word: PlanWord, base: LatencyMatrix, source: String)?
    var distances: [Distance] = []
    var epsilon: Int64?
    var electionTimeout: Int64?
    var failover: Predictor.FailoverPolicy?
    var tables: [PlanTableParser] = []

    static let topLevel = ["region", "matrix", "distance", "clock", "election-timeout", "failover", "table"]
    static let presets = ["aws"]
    /// The hop between two zones of a region that no `distance` gives.
    static let defaultWithin: Int64 = 1_000_000

    init(file: String) { self.file = file }

    var regionNames: [String] { regions.map(\.name.text) }

    mutating func read(
        _ lines: [[PlanWord]], matrixText: (String) throws(MeridianError) -> String
    ) throws(PlanFileError) {
        for line in lines where line[0].text == "region" { try readRegion(PlanStatement(line)) }
        for line in lines where line[0].text != "region" {
            var statement = PlanStatement(line)
            switch statement.keyword.text {
            case "matrix": try readMatrix(&statement, matrixText: matrixText)
            case "distance": try readDistance(&statement)
            case "clock":
                try once(&epsilon, statement.keyword, try statement.next("a duration such as 500us").duration())
            case "election-timeout": try readElectionTimeout(&statement)
            case "failover": try readFailover(&statement)
            case "table": try readTable(&statement)
            default: try readSetting(&statement)
            }
            try statement.end()
        }
    }

    private mutating func readRegion(_ line: PlanStatement) throws(PlanFileError) {
        var statement = line
        let name = try statement.next("the region's name")
        guard !regionNames.contains(name.text) else { throw name.error("region \"\(name.text)\" is declared twice") }
        var descriptor = RegionDescriptor(Region(name.text))
        var nodes: Int?
        let clauses = ["zones", "nodes", "jurisdiction"]
        while let clause = statement.nextIfAny() {
            switch clause.text {
            case "zones":
                descriptor.zones = []
                while let zone = statement.peek, !clauses.contains(zone.text) {
                    statement.skip()
                    guard !descriptor.zones.contains(Zone(zone.text)) else {
                        throw zone.error("zone \"\(zone.text)\" is named twice")
                    }
                    descriptor.zones.append(Zone(zone.text))
                }
                if descriptor.zones.isEmpty { throw clause.error("zones are missing; name them, such as: zones a b c") }
            case "nodes": nodes = try statement.next("a number of nodes").count("nodes")
            case "jurisdiction": descriptor.jurisdiction = Jurisdiction(try statement.next("a jurisdiction").text)
            default: throw clause.unknown("clause of a region called", among: clauses)
            }
        }
        descriptor.nodes = nodes ?? descriptor.zones.count
        regions.append(RegionLine(name: name, descriptor: descriptor))
    }

    private mutating func readMatrix(
        _ statement: inout PlanStatement, matrixText: (String) throws(MeridianError) -> String
    ) throws(PlanFileError) {
        guard matrix == nil else { throw statement.keyword.error("matrix is given twice; keep one") }
        let kind = try statement.next("preset, file or uniform")
        do {
            switch kind.text {
            case "preset":
                let name = try statement.next("a preset: aws")
                guard Self.presets.contains(name.text) else { throw name.unknown("preset", among: Self.presets) }
                matrix = (kind, .aws, "preset aws")
            case "file":
                let name = try statement.next("a file of comma-separated round trips")
                do {
                    matrix = (name, try LatencyMatrix(csv: try matrixText(name.text)), "file \(name.text)")
                } catch {
                    throw name.error("\(name.text): \(error.message)")
                }
            case "uniform":
                let distance = try statement.next("a round trip such as 70ms")
                let milliseconds = Double(try distance.duration()) / 1_000_000
                do {
                    let base = try LatencyMatrix.uniform(
                        regions: regions.map(\.descriptor.region), milliseconds: milliseconds,
                        withinRegionMilliseconds: min(milliseconds, Double(Self.defaultWithin) / 1_000_000))
                    matrix = (distance, base, "uniform \(distance.text)")
                } catch {
                    throw distance.error(error.message)
                }
            default: throw kind.unknown("kind of matrix", among: ["preset", "file", "uniform"])
            }
        }
    }

    private mutating func readDistance(_ statement: inout PlanStatement) throws(PlanFileError) {
        let first = try region(try statement.next("a region"))
        let second = try region(try statement.next("another region, or the same for a hop between its zones"))
        let time = try statement.next("a round trip such as 70ms")
        let known = distances.contains {
            ($0.first, $0.second) == (first, second) || ($0.second, $0.first) == (first, second)
        }
        guard !known else {
            throw statement.keyword.error("the distance between \(first) and \(second) is given twice; keep one")
        }
        let nanoseconds = try time.duration()
        guard nanoseconds <= 60_000_000_000 else {
            throw time.error("a round trip of \(time.text) is more than a minute")
        }
        distances.append(Distance(word: statement.keyword, first: first, second: second, nanoseconds: nanoseconds))
    }

    private mutating func readElectionTimeout(_ statement: inout PlanStatement) throws(PlanFileError) {
        let word = try statement.next("a duration such as 300ms")
        let time = try word.duration()
        guard time >= 100_000_000 else { throw word.error("an election timeout of \(word.text) is below 100ms") }
        try once(&electionTimeout, statement.keyword, time)
    }

    private mutating func readFailover(_ statement: inout PlanStatement) throws(PlanFileError) {
        let kind = try statement.next("manual, automatic, or after and a duration")
        switch kind.text {
        case "manual": try once(&failover, statement.keyword, .manual)
        case "automatic":
            try once(
                &failover, statement.keyword,
                .automatic(afterNanoseconds: ClusterTiming.authorityTermNanoseconds))
        case "after":
            let time = try statement.next("a duration such as 3s").duration()
            try once(&failover, statement.keyword, .automatic(afterNanoseconds: time))
        default: throw kind.unknown("failover", among: ["manual", "automatic", "after"])
        }
    }

    private mutating func readTable(_ statement: inout PlanStatement) throws(PlanFileError) {
        let name = try statement.next("the table's name")
        guard !tables.contains(where: { $0.name.text == name.text }) else {
            throw name.error("table \"\(name.text)\" is planned twice")
        }
        tables.append(PlanTableParser(name: name))
    }

    private mutating func readSetting(_ statement: inout PlanStatement) throws(PlanFileError) {
        let keyword = statement.keyword
        guard PlanTableParser.settings.contains(keyword.text) else {
            let known = tables.isEmpty ? Self.topLevel : Self.topLevel + PlanTableParser.settings
            let all = Self.topLevel + PlanTableParser.settings
            throw keyword.error(
                "there is no statement \"\(keyword.text)\"; known are \(known.joined(separator: ", "))",
                suggestion: NameSuggestion.nearest(to: keyword.text, among: all))
        }
        guard !tables.isEmpty else {
            throw keyword.error("\(keyword.text) belongs to a table; write \"table NAME\" above it")
        }
        let names = regionNames
        try tables[tables.count - 1].read(&statement, regions: names)
    }

    func region(_ word: PlanWord) throws(PlanFileError) -> Region {
        try PlanTableParser.region(word, among: regionNames)
    }

    // MARK: - The end

    func finish() throws(PlanFileError) -> PlanFile {
        guard !regions.isEmpty else {
            throw PlanFileError(
                file: file, line: 1, column: 1, message: "there is no region; add lines such as: region us-east-1")
        }
        let topology: Topology
        do {
            topology = try Topology(regions: regions.map(\.descriptor), matrix: try finishedMatrix())
        } catch let error as PlanFileError {
            throw error
        } catch {
            throw regions[0].name.error("\(error)")
        }
        guard !tables.isEmpty else {
            throw PlanFileError(
                file: file, line: regions[regions.count - 1].name.line, column: 1,
                message: "there is no table; add lines such as: table orders")
        }
        var planned: [PlannedTable] = []
        for table in tables { planned.append(try table.finish(topology: topology)) }
        return PlanFile(
            topology: topology, epsilonNanoseconds: epsilon ?? PlanFile.defaultEpsilonNanoseconds,
            electionTimeoutNanoseconds: electionTimeout ?? ClusterTiming().electionTimeoutNanoseconds,
            failover: failover ?? .manual, tables: planned, matrixSource: matrix?.source ?? "as given")
    }

    /// The distances of the plan's regions: those of the base, where single ones are not given otherwise.
    private func finishedMatrix() throws(PlanFileError) -> LatencyMatrix {
        var rows: [[Double]] = []
        for origin in regions {
            if let matrix, !matrix.base.contains(origin.descriptor.region) {
                let names = matrix.base.regions.map(\.rawValue)
                throw origin.name.error(
                    "the matrix (\(matrix.source)) has no region \"\(origin.name.text)\"; it has "
                        + names.joined(separator: ", "),
                    suggestion: NameSuggestion.nearest(to: origin.name.text, among: names))
            }
            var row: [Double] = []
            for destination in regions {
                row.append(Double(try roundTrip(origin, destination)) / 1_000_000)
            }
            rows.append(row)
        }
        do {
            return try LatencyMatrix(regions: regions.map(\.descriptor.region), roundTripMilliseconds: rows)
        } catch {
            throw regions[0].name.error(error.message)
        }
    }

    private func roundTrip(_ origin: RegionLine, _ destination: RegionLine) throws(PlanFileError) -> Int64 {
        let (first, second) = (origin.descriptor.region, destination.descriptor.region)
        let given = distances.first {
            ($0.first, $0.second) == (first, second) || ($0.second, $0.first) == (first, second)
        }
        if let given { return given.nanoseconds }
        if let matrix, matrix.base.contains(first), matrix.base.contains(second) {
            return matrix.base.roundTripNanoseconds(from: first, to: second)
        }
        if first == second { return Self.defaultWithin }
        throw destination.name.error(
            "the distance between \(first) and \(second) is missing; add \"distance \(first) \(second) 70ms\", or a "
                + "matrix for all")
    }
}

/// Sets what a plan may say once.
func once<Value>(_ place: inout Value?, _ keyword: PlanWord, _ value: Value) throws(PlanFileError) {
    guard place == nil else { throw keyword.error("\(keyword.text) is given twice; keep one") }
    place = value
}

/// One line: its first word, and the others as they are taken.
struct PlanStatement {
    let keyword: PlanWord
    private var words: ArraySlice<PlanWord>
    private var last: PlanWord

    /// Precondition: the line has a word.
    init(_ line: [PlanWord]) {
        keyword = line[0]
        last = line[0]
        words = line.dropFirst()
    }

    var peek: PlanWord? { words.first }

    mutating func skip() { if let word = words.popFirst() { last = word } }

    mutating func nextIfAny() -> PlanWord? {
        defer { skip() }
        return words.first
    }

    mutating func next(_ expected: String) throws(PlanFileError) -> PlanWord {
        guard let word = nextIfAny() else {
            var place = last
            place.column += last.text.count
            throw place.error("after \"\(last.text)\" something is missing: \(expected)")
        }
        return word
    }

    /// - Throws: when words are left.
    func end() throws(PlanFileError) {
        guard let word = words.first else { return }
        throw word.error("\"\(word.text)\" is too much after \"\(last.text)\"; one statement a line")
    }
}
