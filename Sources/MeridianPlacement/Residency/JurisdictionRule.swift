import MeridianCore

/// What one law asks of the rows that are at home under it, as values: nothing in the engine knows a law by name.
///
/// A rule says what may leave and who may ask. What the engine can hold a program to, it does, with
/// `.jurisdictionViolation`: where copies stand (`.restricted`), requests from outside, aggregates, how long old
/// versions are kept, the survival goal. What it cannot, the rule lists in `notEnforced`, so that nobody takes silence
/// for compliance. Rules are configuration, and no legal advice.
///
/// `JurisdictionRules.examples` has four; `JurisdictionRules(json:)` reads a file of the same form.
public struct JurisdictionRule: Hashable, Sendable, Codable {
    /// Whether something is allowed.
    public enum Access: String, Hashable, Sendable, Codable, CaseIterable {
        case allowed
        case refused
    }

    /// Which tables the rule is for.
    public enum Coverage: String, Hashable, Sendable, Codable, CaseIterable {
        /// Tables that are declared `.restricted`. That the others hold nothing of the kind is the application's word.
        case restrictedTables
        /// Every table with a home region here: one that is not `.restricted` is refused.
        case everyTable
    }

    /// A value that is computed over many rows.
    public enum Aggregate: String, Hashable, Sendable, Codable, CaseIterable {
        case count
        case sum
        case mean
        /// One row's own value, whatever the size of the group.
        case min
        case max
        case histogram
    }

    /// The jurisdiction, as the topology names it.
    public var jurisdiction: Jurisdiction
    /// The law, for people.
    public var law: String
    /// Where its text is.
    public var sources: [String]
    /// The regions that belong to it. None: whatever the topology says.
    public var regions: [Region]
    public var covers: Coverage
    /// Whether clients and gateways in other jurisdictions may read rows.
    public var readsFromOutside: Access
    /// Whether they may write rows. What a commit is answered (`duplicateKey`, `conflict`) tells whether a row is
    /// there.
    public var writesFromOutside: Access
    /// Whether a client here that looks for a key without naming a region may ask other jurisdictions for it, which
    /// sends them the key.
    public var lookupsOutside: Access
    /// The aggregates that may leave.
    public var aggregates: [Aggregate]
    /// The fewest rows that a group, or a bucket of a histogram, must have for its values to leave; at least 1.
    public var minimumGroupSize: Int
    /// The longest that old versions of rows may be kept, in seconds (`ClusterConfiguration.retention`).
    public var historyLimitSeconds: Int64?
    /// How long an erasure may take until every replica has confirmed it, in days.
    public var erasureDays: Int?
    /// `zone` or `region`: what a table must at least survive.
    public var requiredSurvival: String?
    /// What the law asks besides and no database can see to.
    public var notEnforced: [String]

    package enum CodingKeys: String, CodingKey, CaseIterable {
        case jurisdiction, law, sources, regions, covers, readsFromOutside, writesFromOutside, lookupsOutside
        case aggregates, minimumGroupSize, historyLimitSeconds, erasureDays, requiredSurvival, notEnforced
    }

    public init(
        jurisdiction: Jurisdiction, law: String = "", sources: [String] = [], regions: [Region] = [],
        covers: Coverage = .restrictedTables, readsFromOutside: Access = .allowed, writesFromOutside: Access = .allowed,
        lookupsOutside: Access = .allowed, aggregates: [Aggregate] = Aggregate.allCases, minimumGroupSize: Int = 1,
        historyLimitSeconds: Int64? = nil, erasureDays: Int? = nil, requiredSurvival: String? = nil,
        notEnforced: [String] = []
    ) {
        self.jurisdiction = jurisdiction
        self.law = law
        self.sources = sources
        self.regions = regions
        self.covers = covers
        self.readsFromOutside = readsFromOutside
        self.writesFromOutside = writesFromOutside
        self.lookupsOutside = lookupsOutside
        self.aggregates = aggregates
        self.minimumGroupSize = minimumGroupSize
        self.historyLimitSeconds = historyLimitSeconds
        self.erasureDays = erasureDays
        self.requiredSurvival = requiredSurvival
        self.notEnforced = notEnforced
    }

    /// - Throws: `.invalidConfiguration`, naming the jurisdiction, the value and what it may be.
    func validate() throws(MeridianError) {
        func require(_ condition: Bool, _ message: String) throws(MeridianError) {
            guard condition else {
                throw MeridianError(.invalidConfiguration, "the rule of \(jurisdiction): \(message)")
            }
        }
        try require(!jurisdiction.rawValue.isEmpty, "its jurisdiction has an empty name")
        try require(minimumGroupSize >= 1, "a minimum group size of \(minimumGroupSize) is below 1")
        try require((historyLimitSeconds ?? 1) > 0, "a history of \(historyLimitSeconds ?? 0) s keeps nothing")
        try require((erasureDays ?? 1) > 0, "an erasure within \(erasureDays ?? 0) days is not possible")
        try require(
            ["zone", "region", nil].contains(requiredSurvival),
            "a required survival of \"\(requiredSurvival ?? "")\" is neither \"zone\" nor \"region\"")
        try require(
            Set(regions).count == regions.count, "it names a region twice")
    }
}
