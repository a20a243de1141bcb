/// What a table must survive without losing rows or standing still (DESIGN §8).
public enum SurvivalGoal: Hashable, Sendable {
    /// The loss of one zone of the home region. Commits stay inside the region.
    ///
    /// It is the default, so it bends where a region is too small for it: two zones, two nodes, a laptop. The plan
    /// then says in `shortfall` what is missing.
    case zone
    /// The loss of any one region, the home included. Commits pay the way to the nearest other region.
    ///
    /// It is asked for by name, so it never bends: where it cannot be met the table is refused.
    case region
}
