import MeridianCore

/// What is kept and sent. Bytes of rows alone: headers, older versions, logs and what clients read come on top.
extension Predictor {
    func cost(_ range: PlannedRange, _ table: PlannedTable) -> CostPrediction {
        let writers = writers(of: range, table)
        let shipped = range.copies.count { $0.region != range.home }
        return cost(
            range.members, table, writers: writers,
            bytes: writers.map { region, _ in
                (shipped + (region == range.home ? 0 : 1)) * table.rowBytes
            })
    }

    func cost(
        _ members: [Member], _ table: PlannedTable, writers: [(region: Region, rate: Double)], bytes: [Int],
        pullsPerSecond: Double = 0
    ) -> CostPrediction {
        let total = writers.reduce(0) { $0 + $1.rate }
        let perSecond = zip(writers, bytes).reduce(0) { $0 + $1.0.rate * Double($1.1) }
        let mean = bytes.isEmpty ? 0 : Double(bytes.reduce(0, +)) / Double(bytes.count)
        return CostPrediction(
            voters: members.count { $0.role == .voter }, learners: members.count { $0.role == .learner },
            regions: Set(members.map(\.region)).count,
            storedBytesPerByte: members.count { $0.role != .witness },
            crossRegionBytesPerWrite: total > 0 ? perSecond / total : mean,
            crossRegionBytesPerSecond: perSecond, pullsPerSecond: pullsPerSecond)
    }

    /// Who writes rows of a home: in a table that is regional by row its own clients, else everybody.
    private func writers(of range: PlannedRange, _ table: PlannedTable) -> [(region: Region, rate: Double)] {
        if case .regionalByRow = table.locality, !range.isGlobal {
            return [(range.home, table.writes(from: range.home))]
        }
        return table.writingRegions(of: topology).map { ($0, table.writes(from: $0)) }
    }
}
