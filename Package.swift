// swift-tools-version: 6.1

import PackageDescription

let package = Package(
  name: "SoftPrompt",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "Compute", targets: ["Compute", "CPUBackend", "OpenCLBackend"]),
    .library(
      name: "SoftPrompt",
      targets: ["Autodiff", "Tokenizers", "LanguageModels", "PromptTuning", "Training", "Evaluation"]),
    .executable(name: "softprompt", targets: ["softprompt"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.1.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "3.10.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.0.0"),
  ],
  targets: [
    // MARK: - Devices

    .target(name: "Compute"),
    .target(name: "CPUTiles"),
    .target(name: "CPUBackend", dependencies: ["Compute", "CPUTiles"]),
    .target(name: "COpenCL"),
    .target(
      name: "Kernels", path: "Kernels",
      resources: [
        "attention_cpu", "attention_gpu", "attention_pair_tiles", "attention_pairs", "attention_plain",
        "attention_rows", "attention_tiles", "builtins", "columns", "elementwise", "fragments", "functions", "lanes",
        "matmul_cpu", "matmul_gpu", "matmul_pack", "matmul_panel", "matmul_plain", "matmul_strips", "matmul_tensor",
        "matmul_tile", "normalization", "operands", "optimizers", "pairs", "peak", "processor", "reductions", "rows",
        "softmax", "strided", "visibility",
      ].map { .embedInCode("\($0).cl") }),
    .target(
      name: "OpenCLBackend",
      dependencies: [
        "Compute", "COpenCL", "Kernels",
        .product(name: "Crypto", package: "swift-crypto"),
      ]),

    // MARK: - Models and methods

    .target(name: "Autodiff", dependencies: ["Compute"]),
    .target(
      name: "Tokenizers",
      dependencies: [.product(name: "Collections", package: "swift-collections")]),
    .target(name: "LanguageModels", dependencies: ["Compute", "Autodiff"]),
    .target(
      name: "PromptTuning",
      dependencies: [
        "Compute", "Autodiff", "Tokenizers", "LanguageModels", .product(name: "Crypto", package: "swift-crypto"),
      ]),

    // MARK: - Training, evaluation, conformance

    .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
    .target(
      name: "Training",
      dependencies: [
        "Compute", "Autodiff", "Tokenizers", "LanguageModels", "PromptTuning", "CZlib",
        .product(name: "Yams", package: "Yams"),
      ]),
    .target(
      name: "Evaluation",
      dependencies: ["Compute", "Autodiff", "Tokenizers", "LanguageModels", "PromptTuning"]),
    .target(name: "Conformance", dependencies: ["Compute", "LanguageModels"]),

    // MARK: - The command line

    .executableTarget(
      name: "softprompt",
      dependencies: [
        "Compute", "CPUBackend", "OpenCLBackend", "Autodiff", "Tokenizers", "LanguageModels", "PromptTuning",
        "Training", "Evaluation", "Conformance",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),

    // MARK: - Tests

    .target(
      name: "TestSupport", dependencies: ["Compute", "CPUBackend", "OpenCLBackend", "Tokenizers", "LanguageModels"],
      path: "Tests/TestSupport"),
    .testTarget(name: "OpenCLBackendTests", dependencies: ["OpenCLBackend", "COpenCL", "Compute", "Kernels"]),
    .testTarget(name: "ComputeTests", dependencies: ["Compute", "TestSupport"]),
    .testTarget(name: "CPUBackendTests", dependencies: ["Compute", "CPUBackend"]),
    .testTarget(name: "ConformanceTests", dependencies: ["Autodiff", "Conformance", "LanguageModels", "TestSupport"]),
    .testTarget(name: "AutodiffTests", dependencies: ["Autodiff", "TestSupport"]),
    .testTarget(
      name: "TokenizersTests", dependencies: ["Tokenizers", "TestSupport"], resources: [.copy("Fixtures")]),
    .testTarget(
      name: "LanguageModelsTests", dependencies: ["LanguageModels", "Tokenizers", "TestSupport"],
      resources: [.copy("Fixtures")]),
    .testTarget(
      name: "PromptTuningTests", dependencies: ["PromptTuning", "TestSupport"], resources: [.copy("Fixtures")]),
    .testTarget(
      name: "TrainingTests", dependencies: ["Training", "Tokenizers", "TestSupport"], resources: [.copy("Fixtures")]),
    .testTarget(
      name: "EvaluationTests", dependencies: ["Evaluation", "TestSupport"], resources: [.copy("Fixtures")]),
    .testTarget(name: "CommandTests", dependencies: ["softprompt", "TestSupport"]),
  ],
  swiftLanguageModes: [.v6]
)
