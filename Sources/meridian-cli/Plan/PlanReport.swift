import Foundation
import MeridianCore
import MeridianPlacement

/// A plan with all that is predicted for it; as text it is `PlanText`, as JSON one object. The JSON's names are part of
/// the command's interface (docs/PLANNER.md).
struct PlanReport {
    struct Table {
        var table: PlannedTable
        /// Those that are shown.
        var modes: [ModePrediction]
        var recommendation: Recommendation
        /// What the plan's own mode, or else the recommended one, does not keep; a refusal is a miss.
        var missed: [ModePrediction.Wish]
    }

    let plan: PlanFile
    let tables: [Table]

    /// - Parameter modes: what to show; empty for all.
    init(_ plan: PlanFile, tables: [PlannedTable], modes: [PlannedMode]) {
        let predictor = plan.predictor
        self.plan = plan
        self.tables = tables.map { table in
            let recommendation = predictor.recommend(table)
            var missed = recommendation.missed
            if let mode = table.mode {
                let own = predictor.predict(mode, table)
                missed = own.refusal.map { [ModePrediction.Wish(name: "mode", reason: $0)] } ?? own.missed
            } else if recommendation.mode == nil {
                missed = [ModePrediction.Wish(name: "mode", reason: "the topology can carry none")]
            }
            return Table(
                table: table,
                modes: modes.isEmpty ? predictor.predictAll(table) : modes.map { predictor.predict($0, table) },
                recommendation: recommendation, missed: missed)
        }
    }

    var keepsEveryWish: Bool { tables.allSatisfy(\.missed.isEmpty) }
}
