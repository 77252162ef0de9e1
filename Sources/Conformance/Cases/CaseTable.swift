/// Every case of the suite.
enum CaseTable {
  static let all: [ConformanceCase] = matmul + rowwise + elementwise + rows + losses + attention + builtins
}
