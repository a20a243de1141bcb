import MeridianCore

/// The rules of the jurisdictions that a cluster spans, at most one each. A jurisdiction without a rule asks nothing
/// but what `Placement.restricted` says.
///
/// They are checked at four places: a topology and a configuration when a cluster starts, a table when it is made, a
/// request from outside when it reaches a replica (`NodeCore`), and aggregates before they leave.
public struct JurisdictionRules: Hashable, Sendable {
    public let rules: [JurisdictionRule]

    public static let none = JurisdictionRules(checked: [])

    private init(checked rules: [JurisdictionRule]) { self.rules = rules }

    /// - Throws: `.invalidConfiguration` for two rules of one jurisdiction, a region under two of them, or a value out
    ///   of bounds.
    public init(_ rules: [JurisdictionRule]) throws(MeridianError) {
        var laws: [Jurisdiction: String] = [:]
        var owners: [Region: Jurisdiction] = [:]
        for rule in rules {
            try rule.validate()
            if laws.updateValue(rule.law, forKey: rule.jurisdiction) != nil {
                throw MeridianError(
                    .invalidConfiguration,
                    "jurisdiction \(rule.jurisdiction) has two rules; merge them into the stricter one")
            }
            for region in rule.regions {
                guard let other = owners.updateValue(rule.jurisdiction, forKey: region) else { continue }
                throw MeridianError(
                    .invalidConfiguration,
                    "region \(region) stands under \(other) and under \(rule.jurisdiction); it can have one rule")
            }
        }
        self.rules = rules
    }

    public var isEmpty: Bool { rules.isEmpty }

    public subscript(jurisdiction: Jurisdiction) -> JurisdictionRule? {
        rules.first { $0.jurisdiction == jurisdiction }
    }

    /// Only the rules of these jurisdictions.
    public func limited(to jurisdictions: [Jurisdiction]) -> JurisdictionRules {
        JurisdictionRules(checked: rules.filter { jurisdictions.contains($0.jurisdiction) })
    }

    /// Whether the topology can carry the rules: no region stands under a jurisdiction that does not claim it or
    /// outside of the one that does, and what must be survived can be.
    ///
    /// Only jurisdictions that the topology names count: a catalogue may have more.
    /// - Throws: `.jurisdictionViolation`, naming the region or what is missing, and the fix.
    public func check(_ topology: Topology) throws(MeridianError) {
        for region in topology.regions {
            let law = topology.jurisdiction(of: region)
            if let owner = rules.first(where: { $0.regions.contains(region) }), owner.jurisdiction != law,
                !topology.regions(in: owner.jurisdiction).isEmpty
            {
                throw violation(
                    "region \(region) belongs to \(owner.jurisdiction), but the topology puts it under \(law); "
                        + "give it the jurisdiction \(owner.jurisdiction), or leave that rule out")
            }
            guard let rule = self[law], !rule.regions.isEmpty, !rule.regions.contains(region) else { continue }
            throw violation(
                "the topology puts region \(region) under \(law), whose rule names only "
                    + rule.regions.map(\.rawValue).joined(separator: ", ")
                    + "; give it another jurisdiction, or add it to the rule")
        }
        for rule in rules {
            let regions = topology.regions(in: rule.jurisdiction)
            guard !regions.isEmpty else { continue }
            if rule.requiredSurvival == "region", regions.count < 3 {
                throw violation(
                    "\(rule.jurisdiction) asks that rows survive a region, which takes 3 regions under it; the "
                        + "topology has \(regions.map(\.rawValue).joined(separator: ", "))")
            }
            if rule.requiredSurvival == "zone", let small = regions.first(where: { topology.zones(in: $0).count < 3 }) {
                throw violation(
                    "\(rule.jurisdiction) asks that rows survive a zone, which takes nodes in 3 zones of each of its "
                        + "regions; \(small) has \(topology.zones(in: small).count)")
            }
        }
    }

    /// Whether old versions are kept no longer than allowed.
    /// - Throws: `.jurisdictionViolation`.
    public func check(retention: Duration, in topology: Topology) throws(MeridianError) {
        for rule in rules where !topology.regions(in: rule.jurisdiction).isEmpty {
            guard let limit = rule.historyLimitSeconds, retention > .seconds(limit) else { continue }
            throw violation(
                "old versions are kept for \(retention.components.seconds) s, and \(rule.jurisdiction) allows "
                    + "\(limit) s; lower ClusterConfiguration.retention")
        }
    }

    /// Whether a table may be made.
    /// - Parameter homes: its home regions.
    /// - Throws: `.jurisdictionViolation`, naming the table, the jurisdiction and the fix.
    package func check(
        _ table: TableDescriptor, homes: [Region], in topology: Topology
    ) throws(MeridianError) {
        for home in homes {
            guard let rule = self[topology.jurisdiction(of: home)] else { continue }
            let isRestricted = table.placement == .restricted
            if rule.covers == .everyTable, !isRestricted {
                throw violation(
                    "table \(table.name) has rows at home in \(home), where \(rule.jurisdiction) covers every table; "
                        + "declare it with placement: .restricted")
            }
            guard isRestricted || rule.covers == .everyTable else { continue }
            if rule.requiredSurvival == "region", table.goal != .region {
                throw violation(
                    "table \(table.name) survives a zone, and \(rule.jurisdiction) asks that it survive a region; "
                        + "declare it with survival: .region")
            }
        }
    }

    private func violation(_ message: String) -> MeridianError { MeridianError(.jurisdictionViolation, message) }
}

/// A request to a range that is restricted to a jurisdiction, from another.
extension JurisdictionRules {
    /// Why it is refused, if it is.
    package func refusal(
        ofReads isRead: Bool, ofWrites isWrite: Bool, from origin: Jurisdiction, to law: Jurisdiction
    ) -> MeridianError? {
        guard origin != law, let rule = self[law] else { return nil }
        let readIsRefused = isRead && rule.readsFromOutside == .refused
        let writeIsRefused = isWrite && rule.writesFromOutside == .refused
        guard readIsRefused || writeIsRefused else { return nil }
        return MeridianError(
            .jurisdictionViolation,
            "\(law) lets nobody outside of it \(readIsRefused ? "read" : "write") its rows, and the client is in "
                + "\(origin); use a database in a region of \(law), or aggregate(over:)")
    }

    /// Whether a client in one jurisdiction may ask another for a key that it has not found at home.
    package func allowsLookup(from origin: Jurisdiction, to law: Jurisdiction) -> Bool {
        origin == law
            || self[origin]?.lookupsOutside != .refused
                && refusal(ofReads: true, ofWrites: false, from: origin, to: law) == nil
    }
}
