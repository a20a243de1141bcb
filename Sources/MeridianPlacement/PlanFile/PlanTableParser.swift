import MeridianCore

/// The settings of one table of a plan.
struct PlanTableParser {
    let name: PlanWord
    private var locality: Locality?
    private var survival: (word: PlanWord, goal: SurvivalGoal)?
    private var mode: (word: PlanWord, mode: PlannedMode)?
    private var placement: Placement?
    private var rowBytes: Int?
    private var writes: [Region: Double] = [:]
    private var reads: [Region: Double] = [:]
    private var conflicts: Bool?
    private var staleness: Int64?
    private var writeBudget: Int64?
    private var readBudget: Int64?
    private var rpo: Int64?
    private var rto: Int64?

    static let settings = [
        "locality", "survival", "mode", "placement", "row", "writes", "reads", "staleness", "conflicts", "write-budget",
        "read-budget", "rpo", "rto",
    ]

    init(name: PlanWord) { self.name = name }

    static func region(_ word: PlanWord, among names: [String]) throws(PlanFileError) -> Region {
        guard names.contains(word.text) else { throw word.unknown("region", among: names) }
        return Region(word.text)
    }

    /// Precondition: the keyword is one of `settings`.
    mutating func read(_ statement: inout PlanStatement, regions: [String]) throws(PlanFileError) {
        let keyword = statement.keyword
        switch keyword.text {
        case "locality": try once(&locality, keyword, try readLocality(&statement, regions))
        case "survival": try readSurvival(&statement)
        case "mode": try readMode(&statement)
        case "placement":
            let word = try choice(&statement, ["restricted", "unrestricted"])
            try once(&placement, keyword, word.text == "restricted" ? .restricted : .unrestricted)
        case "conflicts":
            let word = try choice(&statement, ["tolerable", "none"])
            try once(&conflicts, keyword, word.text == "tolerable")
        case "row": try once(&rowBytes, keyword, try statement.next("a size such as 400B").size())
        case "writes": try readRate(&statement, regions, into: &writes)
        case "reads": try readRate(&statement, regions, into: &reads)
        default: try readTime(&statement)
        }
    }

    private mutating func readTime(_ statement: inout PlanStatement) throws(PlanFileError) {
        let keyword = statement.keyword
        let time = try statement.next("a duration such as 50ms").duration()
        switch keyword.text {
        case "staleness": try once(&staleness, keyword, time)
        case "write-budget": try once(&writeBudget, keyword, time)
        case "read-budget": try once(&readBudget, keyword, time)
        case "rpo": try once(&rpo, keyword, time)
        case "rto": try once(&rto, keyword, time)
        default: preconditionFailure("\(keyword.text) is no setting")
        }
    }

    private func choice(_ statement: inout PlanStatement, _ names: [String]) throws(PlanFileError) -> PlanWord {
        let word = try statement.next(names.joined(separator: " or "))
        guard names.contains(word.text) else { throw word.unknown(statement.keyword.text, among: names) }
        return word
    }

    private func readLocality(
        _ statement: inout PlanStatement, _ regions: [String]
    ) throws(PlanFileError) -> Locality {
        switch try choice(&statement, ["by-row", "in", "global"]).text {
        case "by-row": return .regionalByRow(column: try statement.next("the column that names the region").text)
        case "in": return .regional(in: try Self.region(try statement.next("a region"), among: regions))
        default: return .global
        }
    }

    private mutating func readSurvival(_ statement: inout PlanStatement) throws(PlanFileError) {
        let word = try choice(&statement, ["zone", "region"])
        guard survival == nil else { throw statement.keyword.error("survival is given twice; keep one") }
        survival = (word, word.text == "region" ? .region : .zone)
    }

    private mutating func readMode(_ statement: inout PlanStatement) throws(PlanFileError) {
        let word = try choice(&statement, ["synchronous", "semi-synchronous", "asynchronous", "active-active"])
        guard mode == nil else { throw statement.keyword.error("mode is given twice; keep one") }
        switch word.text {
        case "synchronous": mode = (word, .synchronousZone)
        case "semi-synchronous":
            let count = try statement.next("in how many other regions, such as 1")
            mode = (word, .semiSynchronous(remoteRegions: try count.count("regions")))
        case "asynchronous": mode = (word, .asynchronous)
        default: mode = (word, .activeActive)
        }
    }

    private func readRate(
        _ statement: inout PlanStatement, _ regions: [String], into rates: inout [Region: Double]
    ) throws(PlanFileError) {
        let word = try statement.next("a region, or all")
        let named = word.text == "all" ? regions.map { Region($0) } : [try Self.region(word, among: regions + ["all"])]
        let rate = try statement.next("a rate such as 200/s").rate()
        for region in named {
            guard rates.updateValue(rate, forKey: region) == nil else {
                throw word.error("\(statement.keyword.text) from \(region) are given twice; keep one")
            }
        }
    }

    // MARK: - The end

    func finish(topology: Topology) throws(PlanFileError) -> PlannedTable {
        guard let locality else {
            throw name.error(
                "table \"\(name.text)\" has no locality; add \"locality by-row COLUMN\", \"locality in REGION\" or "
                    + "\"locality global\"")
        }
        return PlannedTable(
            name: name.text, locality: locality, placement: placement ?? .unrestricted,
            mode: try plannedMode(locality), rowBytes: rowBytes ?? 256, writesPerSecond: writes, readsPerSecond: reads,
            wishes: PlannedTable.Wishes(
                writeBudgetNanoseconds: writeBudget, readBudgetNanoseconds: readBudget,
                stalenessNanoseconds: staleness, rpoNanoseconds: rpo, rtoNanoseconds: rto,
                toleratesConflicts: conflicts ?? false))
    }

    /// A survival goal and a replication mode, as a table declares them, are one way to replicate.
    private func plannedMode(_ locality: Locality) throws(PlanFileError) -> PlannedMode? {
        if locality == .global {
            if let mode, mode.mode != .synchronousZone {
                throw mode.word.error("a global table is planned as synchronous; leave the mode out")
            }
            return mode == nil && survival == nil ? nil : .global
        }
        guard survival?.goal == .region else { return mode?.mode ?? survival.map { _ in .synchronousZone } }
        guard mode == nil || mode?.mode == .synchronousZone else {
            throw (mode?.word ?? name).error(
                "the region goal and this mode exclude each other: the mode keeps all voters at home; use synchronous "
                    + "or survival zone")
        }
        return .synchronousRegion
    }
}
