exports.data = { permalink: "/blog.json", eleventyExcludeFromCollections: true, layout: false };

exports.render = ({ siteURL, collections }) => {
	const url = (page) => new URL(page.url, siteURL).href;
	const pages = collections.all.filter((page) => page.url !== "/");
	pages.sort((a, b) => (a.url < b.url ? -1 : 1));
	return JSON.stringify({
		version: "https://jsonfeed.org/version/1.1",
		title: "Documentation",
		home_page_url: siteURL,
		items: pages.slice(0, 20).map((page) => ({
			id: url(page),
			url: url(page),
			title: page.data.title,
			content_html: page.templateContent,
		})),
	});
};
