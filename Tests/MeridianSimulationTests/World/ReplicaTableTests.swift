import Testing

@testable import MeridianSimulation

@Suite struct ReplicaTableTests {
    @Test func valuesStayWhereTheyArePutWhileTheTableGrows() {
        let table = ReplicaTable<Int>()
        #expect(table[3, 4] == nil)
        #expect(table[300, 400] == nil)
        for node in 0..<40 { for slot in 0..<50 where (node + slot) % 3 == 0 { table[node, slot] = node * 100 + slot } }
        for node in 0..<40 {
            for slot in 0..<50 {
                #expect(table[node, slot] == ((node + slot) % 3 == 0 ? node * 100 + slot : nil))
            }
        }
    }

    @Test func aNodeIsForgottenAlone() {
        let table = ReplicaTable<String>()
        table[1, 0] = "one"
        table[2, 20] = "two"
        table.forget(node: 1)
        table.forget(node: 77)
        #expect(table[1, 0] == nil)
        #expect(table[2, 20] == "two")
    }
}
