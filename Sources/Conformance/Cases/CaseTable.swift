/// Every case of the suite.
enum CaseTable {
  static let all: [ConformanceCase] = matmul + rowwise + elementwise + rows + losses + attention + builtins + mistakes

  /// Every mistake that must be refused.
  private static let mistakes: [ConformanceCase] = Mistake.all.map {
    ConformanceCase("mistake", $0.name, [:], ["mistake": .string($0.name)], gradients: false, quick: true)
  }
}
