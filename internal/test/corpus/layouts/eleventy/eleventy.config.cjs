module.exports = (config) => {
	config.addPassthroughCopy("content/**/*.{png,jpg,jpeg,webp,svg,gif,css}");
	config.addGlobalData("commit", process.env.COMMIT || "");
	config.addGlobalData("siteURL", process.env.SITE_URL || "http://localhost:3000/");
	// For whom the documents have no meaning but Markdown's.
	return {
		markdownTemplateEngine: false,
		dir: { input: "content", includes: "../_includes", output: "_site" },
	};
};
